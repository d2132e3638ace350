"""Mix-and-separate on the fly: random clips, levels, filters, rooms and speeds, by number.

Mixture ``i`` of a seed is the same whenever it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch.utils.data import Dataset

from .clips import Clip, active_power
from .drawing import Classes, as_loud, without_noise
from .noises import shaped_noise
from .rooms import in_a_room
from .settings import Table

Samples = NDArray[np.float32]

_SPREAD_DB = 4.0  # a sound is louder or quieter by up to so much
_QUIETER_DB = 30.0  # noise in the background


class Scenes(Table):
    """How recordings become mixtures. Shares are probabilities.

    Attributes:
        sounds: at most so many in a mixture; of three, 70 % hold two.
        speed: share of the sounds played at another speed, and so pitch, by up to ``octaves``.
        equaliser_db: how far a sound's colour is changed: standard deviation of each of five steps
            from the lowest to the highest frequencies, 60 % of the sounds.
        alike: share of the mixtures whose sounds, and the one asked for in vain, are of one
            category, as far as it has enough classes: those that are taken for each other.
        overlay: share of the sounds that are two recordings of one class at once.
        rooms: share of the sounds that are heard in a room.
        pollution: share of the sounds that come with another one that nobody asks for, up to
            ``pollution_db`` quieter.
        noise: classes that pollute and that nobody asks for; none: any that is not in the mixture.
        hiss: share of the mixtures with shaped noise behind them, which belongs to no sound, at
            least ``hiss_db`` below them and at most 30 dB further.
    """

    sounds: Literal[2, 3] = 3
    speed: float = Field(default=0.5, ge=0, le=1)
    octaves: float = Field(default=0.35, ge=0, le=2)
    equaliser_db: float = Field(default=2.5, ge=0, le=12)
    alike: float = Field(default=0.0, ge=0, le=1)
    overlay: float = Field(default=0.0, ge=0, le=1)
    rooms: float = Field(default=0.0, ge=0, le=1)
    pollution: float = Field(default=0.0, ge=0, le=1)
    pollution_db: float = Field(default=5.0, ge=0)
    noise: tuple[str, ...] = ()
    hiss: float = Field(default=0.0, ge=0, le=1)
    hiss_db: float = Field(default=10.0)


class Mixtures(Dataset[Mapping[str, Any]]):
    """Endless random mixtures.

    An example holds ``sources`` ``(sounds, samples)`` float32, missing ones being silence, and
    ``background`` ``(samples,)`` float32, which add up to the mixture; ``present`` ``(sounds,)``
    bool; ``numbers`` ``(sounds,)`` int64, of each source's class in ``classes.labels``, -1 without
    one; ``queries`` ``(sounds + 1, embedding)`` float32, one for each source and the last for a
    sound that is not in the mixture; ``equalisers`` ``(sounds, bins)`` float32, gains over
    frequency to be applied to each source's spectrum.

    Args:
        clips: recordings to mix.
        embeddings: unit-length embedding of every phrase of every clip.
        scenes: what is done to them.
        samples: length of a mixture, at ``sample_rate`` Hz.
        bins: frequency bins of the equalisers.
        seed: the same seed gives the same mixtures.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        embeddings: Mapping[str, NDArray[np.float32]],
        scenes: Scenes,
        samples: int,
        sample_rate: int,
        bins: int,
        seed: int,
    ) -> None:
        self.embeddings, self.scenes, self.bins, self.seed = embeddings, scenes, bins, seed
        self.length, self.sample_rate = samples, sample_rate
        asked, noise = without_noise(clips, scenes.noise, "scenes.noise")
        self.classes = Classes(asked, least=scenes.sounds + 1)
        self._noise = Classes(noise, least=0)

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng((self.seed, index))
        most, dimension = self.scenes.sounds, len(next(iter(self.embeddings.values())))
        sources = np.zeros((most, self.length), np.float32)
        queries = np.zeros((most + 1, dimension), np.float32)
        present = np.zeros(most, bool)
        numbers = np.full(most, -1)
        equalisers = np.ones((most, self.bins), np.float32)
        count = 2 if most == 2 or random.random() < 0.7 else 3
        chosen = self._choose(count + 2, random)
        for j, number in enumerate(chosen[:count]):
            clip = self.classes.clip(number, random)
            sources[j] = self._sound(clip, number, chosen[-1], random)
            queries[j] = query_near(clip.phrases, self.embeddings, random)
            equalisers[j] = _equaliser(self.bins, self.scenes.equaliser_db, random)
            present[j], numbers[j] = True, number
        absent = self.classes.clip(chosen[count], random)
        queries[most] = query_near(absent.phrases, self.embeddings, random)
        _balance(sources[:count], random)
        return {
            "sources": sources,
            "background": self._background(sources.sum(0), random),
            "present": present,
            "numbers": numbers,
            "queries": queries,
            "equalisers": equalisers,
        }

    def _choose(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of so many classes; of as many as there are where there are fewer."""
        count = min(count, len(self.classes.labels))
        if random.random() < self.scenes.alike:
            return self.classes.choose_alike(count, random)
        return self.classes.choose(count, random)

    def _sound(self, clip: Clip, number: int, other: int, random: np.random.Generator) -> Samples:
        """A clip of a class as it is to be separated, with all that belongs to it."""
        scenes = self.scenes
        sound = self._excerpt(clip, random)
        if random.random() < scenes.overlay:
            more = self._excerpt(self.classes.clip(number, random), random)
            sound += as_loud(more, sound)
        if random.random() < scenes.rooms:
            sound = in_a_room(sound, self.sample_rate, random)
        if random.random() < scenes.pollution:
            noise = self._excerpt(self._pollutant(other, random), random)
            sound += as_loud(noise, sound, random.uniform(0, scenes.pollution_db))
        return sound

    def _pollutant(self, other: int, random: np.random.Generator) -> Clip:
        """A clip of a class of noise, or, without such classes, of the other class."""
        if not self._noise.labels:
            return self.classes.clip(other, random)
        return self._noise.clip(int(self._noise.choose(1, random)[0]), random)

    def _background(self, mixture: Samples, random: np.random.Generator) -> Samples:
        """Noise behind a mixture, or silence."""
        if random.random() >= self.scenes.hiss:
            return np.zeros_like(mixture)
        below = self.scenes.hiss_db + random.uniform(0, _QUIETER_DB)
        return as_loud(shaped_noise(len(mixture), self.sample_rate, random), mixture, below)

    def _excerpt(self, clip: Clip, random: np.random.Generator) -> Samples:
        """Cuts or places the clip at random, maybe at another speed."""
        octaves = self.scenes.octaves
        changed = random.random() < self.scenes.speed
        speed = 2 ** random.uniform(-octaves, octaves) if changed else 1.0
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


def _balance(sources: Samples, random: np.random.Generator) -> None:
    """Sets random levels: up to 8 dB between two sources, and a random loudness for all."""
    for source in sources:
        level = random.uniform(-_SPREAD_DB, _SPREAD_DB)
        source *= 10 ** (level / 20) / np.sqrt(active_power(source) + 1e-12)
    peak = np.abs(sources.sum(0)).max() + 1e-9
    sources *= 10 ** (random.uniform(-30, -1) / 20) / peak


def _equaliser(bins: int, step_db: float, random: np.random.Generator) -> Samples:
    """A smooth random curve; sometimes the top is cut off as in old recordings."""
    gain = np.ones(bins, np.float32)
    if random.random() < 0.6:
        knots = np.cumsum(random.normal(0, step_db, 6))
        octaves = np.log2(np.arange(bins) + 2) / np.log2(bins + 2) * 5
        decibels = np.interp(octaves, np.arange(6), knots - knots.mean())
        gain *= 10 ** (np.clip(decibels, -6 * step_db, 6 * step_db) / 20)
    if random.random() < 0.15:
        cut = random.uniform(0.15, 0.9) * bins
        gain /= 1 + (np.arange(bins) / cut) ** 16
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
