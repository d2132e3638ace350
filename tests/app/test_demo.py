"""`soloist demo`: what it writes and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from soloist.app import demo
from soloist.training.metrics import si_sdr

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _asks_for_what_the_toy_knows(
    demo_for_toy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)


def test_writes_sounds_and_a_picture(soloist: Run, toy: str) -> None:
    result = soloist("demo", "-m", toy)
    assert result.code == 0 and result.out == ""
    folder = Path("soloist-demo")
    names = ["kept.wav", "mixture.wav", "picture.png", "removed.wav"]
    assert sorted(p.name for p in folder.iterdir()) == names
    sounds = [soundfile.read(folder / f"{n}.wav")[0] for n in ("mixture", "kept", "removed")]
    np.testing.assert_allclose(sounds[1] + sounds[2], sounds[0], atol=1e-4)
    with Image.open(folder / "picture.png") as picture:
        assert picture.size[0] > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 200
    for expected in ("overlap", "total", "5.33 ms", "p99", "SI-SDR", "picture.png"):
        assert expected in result.err


def test_figures_are_those_of_what_was_written(soloist: Run, toy: str) -> None:
    result = soloist("demo", "-m", toy, "--json", "--output-dir", "elsewhere")
    figures = json.loads(result.out)
    target = soundfile.read(demo.ASSETS / "target.flac")[0]
    kept = soundfile.read("elsewhere/kept.wav")[0]
    assert figures["si_sdr_after"] == pytest.approx(si_sdr(kept, target), abs=0.01)
    assert figures["latency"]["samples"] == 256
    assert 0 < figures["block_ms"]["p50"] <= figures["block_ms"]["p99"]


def test_kept_is_what_separate_keeps(soloist: Run, toy: str) -> None:
    assert soloist("demo", "-m", toy).code == 0
    source = demo.ASSETS / "mixture.flac"
    assert soloist("separate", source, "out.wav", "-m", toy, "-q", "dog").code == 0
    np.testing.assert_array_equal(
        soundfile.read("out.wav", dtype="int16")[0],
        soundfile.read("soloist-demo/kept.wav", dtype="int16")[0],
    )


def test_the_bundled_stem_is_part_of_the_mixture() -> None:
    scene = demo.load_scene()
    rest = scene.mixture - scene.target
    assert abs(si_sdr(scene.mixture, scene.target)) < 5
    assert abs(np.corrcoef(scene.target, rest)[0, 1]) < 0.1
    assert len(scene.mixture) == len(scene.target) < 12 * scene.sample_rate
