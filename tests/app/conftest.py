"""Commands run inside the test's process, and recordings to give them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.app import demo
from soloist.app.cli import run


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line of a command that refused its input; fails if it did not do just that."""
        assert self.code == 2, self
        assert self.out == "", self
        line = self.err.removesuffix("\n")
        assert line.startswith("soloist: ") and "\n" not in line, self
        return line.removeprefix("soloist: ")


@pytest.fixture
def soloist(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`soloist("separate", "in.wav", ...)` runs one command line."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def toy(toy_bundle: Callable[..., object]) -> str:
    """Path of a bundle that knows a few words (tests/conftest.py)."""
    return str(toy_bundle().path)  # type: ignore[attr-defined]


@pytest.fixture
def demo_for_toy(toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy's path, after the demo was made to ask for a word that the toy knows."""
    assets = tmp_path / "assets"
    shutil.copytree(demo.ASSETS, assets)
    facts = json.loads((assets / "demo.json").read_text("utf-8"))
    (assets / "demo.json").write_text(json.dumps(facts | {"query": "dog"}))
    monkeypatch.setattr(demo, "ASSETS", assets)
    return toy


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """`recording("in.wav", rate=44100, channels=2, ...)` writes seconds of noise, at most ±0.5."""

    def write(
        name: str = "in.wav",
        *,
        rate: int = 48000,
        channels: int = 1,
        seconds: float = 0.25,
        subtype: str | None = None,
    ) -> Path:
        rng = np.random.default_rng(7)
        noise = rng.uniform(-0.5, 0.5, (round(seconds * rate), channels))
        path = tmp_path / name
        soundfile.write(path, noise, rate, subtype=subtype)
        return path

    return write
