"""The recordings a model learns from: a manifest, decoded once and kept as 16-bit samples."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

ACTIVE_FRAME = 960
"""Samples of the frames over which active power is measured: 20 ms at 48 kHz."""

_HEARD_S = 10


@dataclass(frozen=True)
class Clip:
    """One recording: its class, the phrases that name it, and its int16 mono samples.

    ``category`` is a family of classes, such as ``"animal"``; empty where nobody says.
    """

    path: str
    label: str
    phrases: tuple[str, ...]
    samples: NDArray[np.int16]
    category: str = ""


def beginning(clip: Clip, sample_rate: int) -> NDArray[np.float32]:
    """What a joint model hears of a clip: its first ten seconds, repeated where it is below one."""
    audio = np.resize(clip.samples, max(len(clip.samples), sample_rate))
    return audio[: _HEARD_S * sample_rate].astype(np.float32) / np.float32(32768)


def manifest_hash(manifest: Path) -> str:
    """Returns the SHA-256 of the manifest file, which names the data a model was trained on."""
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


def load_clips(manifest: Path, split: str, sample_rate: int) -> list[Clip]:
    """Decodes every recording of one split.

    Args:
        manifest: CSV with the columns path, class, caption (phrases separated by ``|``), split,
            and maybe category; paths are relative to its folder.
        split: ``"train"`` or ``"dev"``.
        sample_rate: Hz that they get, resampled where a file has another rate.

    Raises:
        ValueError: a file is not mono.
    """
    clips = []
    with manifest.open(encoding="utf8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] != split:
                continue
            samples, rate = soundfile.read(manifest.parent / row["path"], dtype="int16")
            if samples.ndim != 1:
                raise ValueError(f"{row['path']}: need mono, found {samples.shape[1]} channels")
            if rate != sample_rate:
                samples = soxr.resample(samples, rate, sample_rate)
            category = row.get("category", "")
            clips.append(Clip(row["path"], row["class"], phrases_of(row), samples, category))
    return clips


def phrases_of(row: dict[str, str]) -> tuple[str, ...]:
    """Returns the phrases for one manifest row: its captions and its plain class name."""
    name = plain_name(row["class"])
    return tuple(dict.fromkeys([*row["caption"].split("|"), name, f"the sound of {name}"]))


def plain_name(label: str) -> str:
    """A class in words."""
    return label.replace("_", " ")


def classes_of_files(manifest: Path) -> dict[str, str]:
    """The class of each recording of a manifest, of all splits, by its path there."""
    with manifest.open(encoding="utf8", newline="") as file:
        return {row["path"]: row["class"] for row in csv.DictReader(file)}


def vocabulary(clips: list[Clip]) -> dict[str, list[str]]:
    """Returns every phrase of every class, sorted."""
    phrases: dict[str, set[str]] = {}
    for clip in clips:
        phrases.setdefault(clip.label, set()).update(clip.phrases)
    return {label: sorted(phrases[label]) for label in sorted(phrases)}


def active_power(samples: NDArray[np.floating[Any]]) -> float:
    """Mean square over the 20 ms frames within 40 dB of the loudest one."""
    frames = samples[: len(samples) // ACTIVE_FRAME * ACTIVE_FRAME].reshape(-1, ACTIVE_FRAME)
    power = np.square(frames).mean(axis=1)
    return float(power[power > power.max() * 1e-4].mean()) if power.max() > 0 else 0.0
