"""The recordings a model learns from: a manifest, decoded once and kept as 16-bit samples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from .tables import Row, read_table

ACTIVE_FRAME = 960
"""Samples of the frames over which active power is measured: 20 ms at 48 kHz."""

COLUMNS = ("path", "class", "caption", "split")
"""What a manifest tells of each recording."""

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


class ManifestError(ValueError):
    """A manifest, or a recording that it names, cannot be used; the message is for people."""


def read_manifest(path: Path, columns: Sequence[str] = COLUMNS) -> list[Row]:
    """The rows of a manifest: CSV with these columns, and maybe others.

    Raises:
        ManifestError: it cannot be read, lacks a column, or a row is not as long as the header.
    """
    return [row for _, row in read_table(path, columns, "manifest", ManifestError)]


def load_clips(manifest: Path, split: str, sample_rate: int) -> list[Clip]:
    """Decodes every recording of one split.

    Args:
        manifest: see :func:`read_manifest`. Phrases of a caption are separated by ``|``; paths are
            relative to the manifest's folder.
        split: ``"train"`` or ``"dev"``.
        sample_rate: Hz that they get, resampled where a file has another rate.

    Raises:
        ManifestError: the manifest cannot be used, or a recording is no mono audio, or empty.
    """
    clips = []
    for row in read_manifest(manifest):
        if row["split"] == split:
            samples = _decode(manifest.parent / row["path"], sample_rate)
            category = row.get("category", "")
            clips.append(Clip(row["path"], row["class"], phrases_of(row), samples, category))
    return clips


def _decode(path: Path, sample_rate: int) -> NDArray[np.int16]:
    try:
        read, rate = soundfile.read(path, dtype="int16")
    except (soundfile.SoundFileError, OSError) as error:
        what = "it is no audio file that libsndfile knows" if path.is_file() else "no such file"
        raise ManifestError(f"cannot read the recording {path}: {what}") from error
    if read.ndim != 1:
        raise ManifestError(f"{path}: need mono, found {read.shape[1]} channels")
    if not len(read):
        raise ManifestError(f"{path}: there is not one sample in it")
    samples: NDArray[np.int16] = (
        read if rate == sample_rate else soxr.resample(read, rate, sample_rate)
    )
    return samples


def phrases_of(row: Row) -> tuple[str, ...]:
    """Returns the phrases for one manifest row: its captions and its plain class name."""
    name = plain_name(row["class"])
    return tuple(dict.fromkeys([*row["caption"].split("|"), name, f"the sound of {name}"]))


def plain_name(label: str) -> str:
    """A class in words."""
    return label.replace("_", " ")


def classes_of_files(manifest: Path) -> dict[str, str]:
    """The class of each recording of a manifest, of all splits, by its path there."""
    return {row["path"]: row["class"] for row in read_manifest(manifest)}


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
