"""The examples run as they stand, on what ships, and do what they say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from soloist.training.metrics import si_sdr

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

Audio = NDArray[np.float64]


def run(name: str, folder: Path) -> str:
    """Run an example in `folder` and give back what it printed."""
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / name)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done
    return str(done.stdout)


def read(path: Path) -> Audio:
    audio, rate = soundfile.read(path)
    assert rate == 48_000
    return np.asarray(audio, float)


MIXTURE, WOMAN = (read(ROOT / "app" / "assets" / f"{name}.flac") for name in ("mixture", "target"))
TABLA = MIXTURE - WOMAN


def gain(estimate: Audio, target: Audio) -> float:
    return si_sdr(estimate, target) - si_sdr(MIXTURE[: len(target)], target)


def test_separate_a_file(tmp_path: Path) -> None:
    run("separate_a_file.py", tmp_path)
    kept = read(tmp_path / "kept.wav")
    assert kept.shape == MIXTURE.shape and gain(kept, WOMAN) > 5


def test_remove_a_sound(tmp_path: Path) -> None:
    run("remove_a_sound.py", tmp_path)
    assert gain(read(tmp_path / "removed.wav"), WOMAN) > 5


def test_stems_to_files(tmp_path: Path) -> None:
    run("stems_to_files.py", tmp_path)
    stems = {path.stem: read(path) for path in (tmp_path / "stems").iterdir()}
    assert stems.keys() == {"a-woman-speaking", "a-tabla", "residual"}
    np.testing.assert_allclose(sum(stems.values()), MIXTURE, atol=1e-5)
    assert gain(stems["a-woman-speaking"], WOMAN) > 5 and gain(stems["a-tabla"], TABLA) > 5


def test_your_own_loop(tmp_path: Path) -> None:
    late = int(run("your_own_loop.py", tmp_path).partition("(")[2].partition(" ")[0])
    heard = read(tmp_path / "changed.wav")
    assert heard.shape == MIXTURE.shape
    heard, half = heard[late:], len(heard) // 2
    assert gain(heard[:half], WOMAN[:half]) > 5
    after = TABLA[half:-late]
    before = si_sdr(MIXTURE[half:-late], after)
    assert si_sdr(heard[half:], after) - before > 3


def test_plugin_host(tmp_path: Path) -> None:
    told = run("plugin_host.py", tmp_path)
    assert "residual.gain" in told and "latency 2.67 ms (128 samples" in told
    heard = read(tmp_path / "automated.wav")[128:]
    assert gain(heard[: 3 * 48_000], WOMAN[: 3 * 48_000]) > 5
    # From then on all gains are 1, which is the input again.
    whole = slice(round(3.05 * 48_000), 7 * 48_000)
    np.testing.assert_allclose(heard[whole], MIXTURE[whole], atol=1e-4)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_they_are_short_and_listed(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 40
    assert f"`{path.name}`" in (path.parent / "README.md").read_text("utf-8")
    assert f"def test_{path.stem}(" in Path(__file__).read_text("utf-8")
