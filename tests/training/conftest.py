"""A few seconds of sound to learn from, and words without a language model."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from soloist.training.clips import Clip
from soloist.training.mixture_list import COLUMNS

RATE = 16_000
TONES = {"low": 300.0, "middle": 1200.0, "high": 4800.0, "hiss": 0.0}


class LetterEncoder:
    """Each text its own random direction."""

    name, dimension = "letters", 6

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.random.default_rng(list(text.encode())).normal(size=6) for text in texts]
        return np.stack(rows).astype(np.float32)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> LetterEncoder:
    """The encoder ``letters`` instead of those that libraries have."""
    encoder = LetterEncoder()
    monkeypatch.setattr("soloist.training.phrases.load_encoder", lambda name: encoder)
    return encoder


@pytest.fixture
def tones() -> dict[str, float]:
    """Names of sounds, and the frequency of each in Hertz; 0 is noise."""
    return TONES


def tone(frequency: float, seconds: float, rate: int) -> NDArray[np.float64]:
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(3).uniform(-1, 1, len(time))
    return 0.5 * (np.sin(2 * np.pi * frequency * time) if frequency else noise)


@pytest.fixture
def clips() -> list[Clip]:
    """The sounds at 16 kHz."""
    sounds = {label: tone(frequency, 1.0, RATE) for label, frequency in TONES.items()}
    return [
        Clip(f"{label}.wav", label, (f"a {label}",), (32767 * samples).astype(np.int16))
        for label, samples in sounds.items()
    ]


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder with the sounds to learn from and to test on, and a mixture of two to score."""
    for label, frequency in TONES.items():
        soundfile.write(tmp_path / f"{label}.wav", tone(frequency, 1.0, 48_000), 48_000)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "class", "caption", "split"])
        writer.writeheader()
        for split in ("train", "dev"):
            for label in TONES:
                row = {"path": f"{label}.wav", "class": label, "caption": f"a {label}"}
                writer.writerow(row | {"split": split})
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        listed = csv.DictWriter(file, COLUMNS)
        listed.writeheader()
        row = {"target_file": "low.wav", "interferer_files": "high.wav", "query": "a low"}
        row |= {"target_class": "low", "duration_s": "0.5"}
        listed.writerow(dict.fromkeys(COLUMNS, "0") | row)
    return tmp_path
