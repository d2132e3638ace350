"""How recordings are drawn at random: classes, clips of them, excerpts, levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .clips import Clip, active_power

Samples = NDArray[np.float32]

_LEVELS = (0.5, 1.5)  # of a source, a factor


class Classes:
    """Recordings by class, and how they are drawn: rare classes are heard, not memorised.

    Args:
        clips: recordings.
        least: classes that are needed.

    Raises:
        ValueError: there are fewer.
    """

    def __init__(self, clips: Sequence[Clip], least: int) -> None:
        by_label: dict[str, list[Clip]] = defaultdict(list)
        for clip in clips:
            by_label[clip.label].append(clip)
        self.labels = sorted(by_label)
        self._clips = [by_label[label] for label in self.labels]
        if len(self.labels) < least:
            raise ValueError(f"found {len(self.labels)} classes, mixtures take at least {least}")
        # between one share a class and one share a clip
        weight = np.array([len(clips) for clips in self._clips]) ** 0.5
        self._weight = weight / weight.sum()
        category = np.array([clips[0].category for clips in self._clips])
        self._alike = category[:, None] == category[None]

    def choose(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of so many different classes."""
        return random.choice(len(self.labels), count, replace=False, p=self._weight)

    def choose_alike(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """The same of one category, and of others where it has too few classes."""
        likely = self._weight * self._alike[random.choice(len(self.labels), p=self._weight)]
        weight = likely + 1e-6 * self._weight
        return random.choice(len(self.labels), count, replace=False, p=weight / weight.sum())

    def clip(self, number: int, random: np.random.Generator) -> Clip:
        """A recording of a class."""
        clips = self._clips[number]
        return clips[random.integers(len(clips))]


def without_noise(
    clips: Sequence[Clip], noise: Sequence[str], told: str
) -> tuple[list[Clip], list[Clip]]:
    """Clips that may be asked for, and those of classes of noise, which never are.

    Args:
        clips: recordings.
        noise: classes.
        told: name of the setting that says so.

    Raises:
        ValueError: a class of noise is not there.
    """
    unknown = sorted(set(noise) - {clip.label for clip in clips})
    if unknown:
        raise ValueError(f"{told}: no class {unknown[0]!r} to learn from")
    asked = [clip for clip in clips if clip.label not in noise]
    return asked, [clip for clip in clips if clip.label in noise]


def excerpt(clip: Clip, samples: int, random: np.random.Generator) -> Samples:
    """So many samples from anywhere in a clip, which starts again where it is shorter."""
    audio = np.resize(clip.samples, max(samples, len(clip.samples)))
    start = random.integers(len(audio) - samples + 1)
    return audio[start : start + samples].astype(np.float32) / np.float32(32768)


def at_random_level(source: Samples, random: np.random.Generator) -> Samples:
    """The source louder or softer, within full scale."""
    scaled: Samples = np.float32(random.uniform(*_LEVELS)) * source
    return scaled.clip(-1, 1)


def as_loud(sound: Samples, as_other: Samples, quieter_db: float = 0.0) -> Samples:
    """A sound at another one's active power, or so much below it; silence stays silent."""
    power = active_power(sound)
    ratio = active_power(as_other) / power if power > 0 else 0.0
    scaled: Samples = np.float32(10 ** (-quieter_db / 20) * np.sqrt(ratio)) * sound
    return scaled
