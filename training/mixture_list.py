"""Fixed lists of test mixtures and the figures taken on them (numpy only).

Conventions: signals over their whole duration, zero-mean. ``SI-SDR(e, s) = 10 log10(|a s|^2 /
|e - a s|^2)`` with ``a = <e, s> / <s, s>`` (Le Roux et al. 2019); SDR is the same with ``a = 1``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from .clips import active_power

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class ListedMixture:
    """One row of a mixture list, rendered.

    Attributes:
        query: the words asked for.
        mixture, target: ``(samples,)``; the target is silence where the query's sound is absent.
    """

    query: str
    mixture: Signal
    target: Signal
    row: dict[str, str]


def read_list(path: Path) -> list[dict[str, str]]:
    """Reads the rows of a mixture list."""
    with path.open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


def render(row: dict[str, str], root: Path, sample_rate: int) -> ListedMixture:
    """Mixes one row as its columns say, scaled to peak at 0.9 at most."""
    samples = round(float(row["duration_s"]) * sample_rate)
    columns = ("interferer_files", "interferer_offsets_s", "interferer_starts_s")
    rest = np.zeros(samples)
    for name, offset, start in zip(*(row[c].split("|") for c in columns), strict=True):
        placed = _place(root / name, float(start), float(offset), samples, sample_rate)
        rest += placed / np.sqrt(active_power(placed) + 1e-20)
    if row["target_file"]:
        times = float(row["target_start_s"]), float(row["target_offset_s"])
        target = _place(root / row["target_file"], *times, samples, sample_rate)
        ratio = 10 ** (-float(row["snr_db"]) / 10)
        rest *= np.sqrt(active_power(target) / (active_power(rest) + 1e-20) * ratio)
    else:
        target = np.zeros(samples)
        rest *= 0.05 / np.sqrt(active_power(rest) + 1e-20)
    mixture = target + rest
    scale = min(1.0, 0.9 / (np.abs(mixture).max() + 1e-12))
    return ListedMixture(row["query"], mixture * scale, target * scale, row)


def si_sdr(estimate: Signal, source: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    estimate, source = estimate - estimate.mean(), source - source.mean()
    projection = (estimate @ source) / (source @ source) * source
    error = estimate - projection
    return float(10 * np.log10((projection @ projection + 1e-20) / (error @ error + 1e-20)))


def _place(path: Path, start: float, offset: float, samples: int, sample_rate: int) -> Signal:
    audio, _ = soundfile.read(path, dtype="float64")
    audio = audio[round(start * sample_rate) :]
    begin = round(offset * sample_rate)
    out = np.zeros(samples)
    length = max(0, min(len(audio), samples - begin))
    out[begin : begin + length] = audio[:length]
    return out
