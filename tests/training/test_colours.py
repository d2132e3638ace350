"""Colours of sounds in closed form, and how far mixtures' targets are from what was learned."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from soloist.training import colours
from soloist.training.calibration import Heard
from soloist.training.mixture_list import COLUMNS

RATE = 48_000


def sine(frequency: float, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)


def test_a_sine_s_colour_is_its_frequency() -> None:
    # a bin's worth of spread is left by the window
    assert colours.colour(sine(1500), RATE) == pytest.approx(np.log2(1500), abs=0.01)
    assert colours.colour(sine(6000), RATE) == pytest.approx(np.log2(6000), abs=0.01)


def test_each_frequency_weighs_as_much_as_its_power() -> None:
    both = sine(1000, 0.5) + sine(8000, 0.25)  # four to one
    assert colours.colour(both, RATE) == pytest.approx(np.log2(1000) + 3 / 5, abs=0.01)
    assert colours.colour(10 * both, RATE) == pytest.approx(colours.colour(both, RATE))


def test_what_cannot_be_heard_counts_as_the_lowest_that_can() -> None:
    assert colours.colour(np.ones(RATE), RATE) == pytest.approx(np.log2(20), abs=0.2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Lows and highs to learn from; an octave below the lows, and the highs themselves, to hear."""
    learned = {"low": [800.0, 1600.0], "high": [6400.0]}
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", "split", "caption"])
        for label, frequencies in learned.items():
            for frequency in frequencies:
                soundfile.write(tmp_path / f"{frequency:g}.wav", sine(frequency), RATE)
                writer.writerow([f"{frequency:g}.wav", label, "train", label])
        writer.writerow(["400.wav", "low", "dev", "low"])
    soundfile.write(tmp_path / "400.wav", sine(400), RATE)
    row = dict.fromkeys(COLUMNS, "0") | {"duration_s": "1", "interferer_files": "1600.wav"}
    rows = [
        row | {"target_file": "400.wav", "target_class": "low", "query": "a low"},
        row | {"target_file": "6400.wav", "target_class": "high", "query": "a high"},
        row | {"target_file": "400.wav", "target_class": "unheard of", "query": "a what"},
        row | {"target_file": "", "target_class": "", "query": "a low"},
    ]
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    return tmp_path


def test_distances_beside_figures(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two bands that do not overlap; a tenth of the other one's amplitude is left: 20 dB gained."""
    trained = SimpleNamespace(network=None, facts={"encoder": "none"})
    logits = torch.tensor([[20.0, float(np.log(0.1 / 0.9))]])
    heard = Heard(logits, torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]]), 1.0)
    monkeypatch.setattr(colours, "load_solo", lambda path: trained)
    monkeypatch.setattr(colours, "embed", lambda words, encoder: dict.fromkeys(words))
    monkeypatch.setattr(colours, "hear", lambda *told: heard)
    paths = data / "mixtures.csv", data / "manifest.csv"
    found: Any = colours.measure(Path("solo.pt"), *paths, stride=1)
    assert found == [pytest.approx((1.0, 20.0), abs=0.02), pytest.approx((0.0, 20.0), abs=0.02)]
    options = ["solo.pt", "--mixtures", str(paths[0]), "--manifest", str(paths[1])]
    assert colours.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["0", "to", "0.15", "1", "20.00", "20.00", "0"],
        ["0.7", "on", "1", "20.00", "20.00", "0"],
    ]
    assert colours.main([*options[:-1], str(data / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err
