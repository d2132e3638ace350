"""Mix-and-separate on the fly: random clips, levels, filters and speeds, never the same twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .clips import Clip, active_power


@dataclass(frozen=True)
class Batch:
    """Random mixtures and what is asked of them.

    Attributes:
        sources: ``(batch, most sources, samples)`` float32; the mixture is their sum. Missing
            sources are silence.
        queries: ``(batch, most sources + 1, embedding)`` float32: one query for each source, the
            last for a sound that is not in the mixture.
        present: ``(batch, most sources)`` bool.
        equalisers: ``(batch, most sources, bins)`` float32 gains over frequency, one filter for
            each source, to be applied to its spectrum.
    """

    sources: NDArray[np.float32]
    queries: NDArray[np.float32]
    present: NDArray[np.bool_]
    equalisers: NDArray[np.float32]


class MixtureMaker:
    """Draws batches of random mixtures.

    Args:
        clips: recordings to mix.
        embeddings: unit-length embedding of every phrase of every clip.
        seconds: length of a mixture.
        bins: frequency bins of the equalisers.
        seed: the same seed gives the same batches.
    """

    MOST_SOURCES = 3

    def __init__(
        self,
        clips: list[Clip],
        embeddings: dict[str, NDArray[np.float32]],
        sample_rate: int,
        seconds: float,
        bins: int,
        seed: int,
    ) -> None:
        self.length = int(sample_rate * seconds)
        self.bins = bins
        self.embeddings = embeddings
        self.random = np.random.default_rng(seed)
        self.by_label: dict[str, list[Clip]] = defaultdict(list)
        for clip in clips:
            self.by_label[clip.label].append(clip)
        self.labels = sorted(self.by_label)
        # between one share a class and one share a clip: rare classes are heard, not memorised
        weight = np.array([len(self.by_label[label]) for label in self.labels]) ** 0.5
        self.weight = weight / weight.sum()

    def batch(self, size: int) -> Batch:
        """Draws ``size`` mixtures."""
        most, dimension = self.MOST_SOURCES, len(next(iter(self.embeddings.values())))
        sources = np.zeros((size, most, self.length), np.float32)
        queries = np.zeros((size, most + 1, dimension), np.float32)
        present = np.zeros((size, most), bool)
        equalisers = np.ones((size, most, self.bins), np.float32)
        for i in range(size):
            count = 2 if self.random.random() < 0.7 else 3
            labels = self.random.choice(self.labels, count + 1, replace=False, p=self.weight)
            for j, label in enumerate(labels[:count]):
                clip = self._pick(label)
                sources[i, j] = self._excerpt(clip)
                queries[i, j] = query_near(clip.phrases, self.embeddings, self.random)
                equalisers[i, j] = self._equaliser()
                present[i, j] = True
            queries[i, most] = query_near(
                self._pick(labels[count]).phrases, self.embeddings, self.random
            )
            self._balance(sources[i], count)
        return Batch(sources, queries, present, equalisers)

    def _pick(self, label: str) -> Clip:
        clips = self.by_label[label]
        return clips[self.random.integers(len(clips))]

    def _excerpt(self, clip: Clip) -> NDArray[np.float32]:
        """Cuts or places the clip at random, at another speed (and so pitch) half of the time."""
        random = self.random
        speed = 2 ** random.uniform(-0.35, 0.35) if random.random() < 0.5 else 1.0
        need = int(self.length * speed) + 2
        start = int(random.integers(max(1, len(clip.samples) - need + 1)))
        samples = clip.samples[start : start + need].astype(np.float32) / 32768
        if speed != 1.0:
            positions = np.arange(int((len(samples) - 1) / speed), dtype=np.float32) * speed
            samples = np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)
        samples = samples[: self.length]
        out = np.zeros(self.length, np.float32)
        spare = self.length - len(samples)
        start = int(random.integers(spare + 1)) if spare and random.random() < 0.7 else 0
        out[start : start + len(samples)] = samples
        return out

    def _balance(self, sources: NDArray[np.float32], count: int) -> None:
        """Sets random levels: up to 8 dB between two sources, and a random loudness for all."""
        for source in sources[:count]:
            level = self.random.uniform(-4, 4)
            source *= 10 ** (level / 20) / np.sqrt(active_power(source) + 1e-12)
        peak = np.abs(sources[:count].sum(0)).max() + 1e-9
        sources[:count] *= 10 ** (self.random.uniform(-30, -1) / 20) / peak

    def _equaliser(self) -> NDArray[np.float32]:
        """A smooth random curve of a few dB; sometimes the top is cut off as in old recordings."""
        random = self.random
        gain = np.ones(self.bins, np.float32)
        if random.random() < 0.6:
            knots = np.cumsum(random.normal(0, 2.5, 6))
            octaves = np.log2(np.arange(self.bins) + 2) / np.log2(self.bins + 2) * 5
            decibels = np.interp(octaves, np.arange(6), knots - knots.mean())
            gain *= 10 ** (np.clip(decibels, -15, 15) / 20)
        if random.random() < 0.15:
            cut = random.uniform(0.15, 0.9) * self.bins
            gain /= 1 + (np.arange(self.bins) / cut) ** 16
        return gain.astype(np.float32)


def query_near(
    phrases: Sequence[str],
    embeddings: Mapping[str, NDArray[np.float32]],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """A point near the phrases of a sound: one of them, or between two, and a little beside.

    Words nobody wrote down lie around and between those somebody did.

    Returns:
        A unit-length embedding, float32.
    """
    first, second = random.choice(len(phrases), 2)
    share = random.uniform(0, 0.5) if random.random() < 0.5 else 0.0
    point = (1 - share) * embeddings[phrases[first]] + share * embeddings[phrases[second]]
    point = point + random.standard_normal(len(point)) * (0.25 / np.sqrt(len(point)))
    unit: NDArray[np.float32] = (point / np.linalg.norm(point)).astype(np.float32)
    return unit
