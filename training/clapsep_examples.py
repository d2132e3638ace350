"""What CLAPSep learns from: two recordings as loud as each other, each asked for in its turn.

What asks lies between a text and a sound, at random; a quarter of the queries say only what is
wanted, a quarter only what is not, half of them both. Source: Ma et al. 2024 and its published
code, which asks for one of the two recordings. Example ``i`` is the same whenever it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..separators.clap_audio import CLIP, RATE
from ..separators.clapsep import query
from .adaptable import Adaptable
from .clips import Clip
from .drawing import Classes, excerpt
from .settings import Table

Samples = NDArray[np.float32]
Embedding = NDArray[np.float32]

_SPEEDS = (0.9, 1.1)  # of a recording that asks for itself
_PEAK = 0.9  # of a mixture that would be beyond full scale
_ONE_SIDED = 0.25  # share of queries with what is wanted alone; and of those with what is not


class Queries(Table):
    """How training asks.

    Attributes:
        sounds: what asks for a recording: ``itself``, slower or faster by a tenth, as published; or
            another one of its ``class``.
    """

    sounds: Literal["itself", "class"] = "itself"


class Embeddings:
    """CLAP's embeddings of all phrases and all recordings, each made once.

    Args:
        clap: makes them.
        clips: recordings, and their phrases.
        sample_rate: of the recordings.
        speeds: of the recordings, each of which is heard at all of them.
    """

    def __init__(
        self, clap: Adaptable, clips: Sequence[Clip], sample_rate: int, speeds: Sequence[float]
    ) -> None:
        self._clap = clap
        self._texts: dict[str, Embedding] = {}
        self.learn(phrase for clip in clips for phrase in clip.phrases)
        self._sounds = {
            clip.path: clap.encode_sounds([_heard(clip, sample_rate, speed) for speed in speeds])
            for clip in clips
        }

    def learn(self, phrases: Iterable[str]) -> None:
        """Encodes phrases that are not known yet."""
        new = sorted(set(phrases) - self._texts.keys())
        if new:
            self._texts |= zip(new, self._clap.encode(new), strict=True)

    def text(self, phrase: str) -> Embedding:
        """The embedding of a phrase, ``(512,)``."""
        return self._texts[phrase]

    def sound(self, clip: Clip, random: np.random.Generator) -> Embedding:
        """The embedding of a recording at one of the speeds, ``(512,)``."""
        rows = self._sounds[clip.path]
        row: Embedding = rows[random.integers(len(rows))]
        return row


class Examples(Dataset[Mapping[str, Any]]):
    """Endless examples by number.

    An example holds ``sources`` ``(2, samples)`` float32, which add up to the mixture, and
    ``queries`` ``(2, 1024)`` float32, one for each.

    Args:
        clips: recordings.
        clap: makes their embeddings.
        sample_rate: of the recordings.
        samples: length of an example.
        queries: how it is asked.
        seed: the same seed gives the same examples.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        clap: Adaptable,
        sample_rate: int,
        samples: int,
        queries: Queries,
        seed: int,
    ) -> None:
        self.samples, self.seed = samples, seed
        self.classes = Classes(clips, least=2)
        self.by_itself = queries.sounds == "itself"
        speeds = _SPEEDS if self.by_itself else (1.0,)
        self.embeddings = Embeddings(clap, clips, sample_rate, speeds)

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng((self.seed, index))
        labels = self.classes.choose(2, random)
        clips = [self.classes.clip(label, random) for label in labels]
        sources = mixed(*(cut(clip, self.samples, random) for clip in clips))
        halves = [
            self._halves(clip, label, random) for clip, label in zip(clips, labels, strict=True)
        ]
        queries = [asked(mine, other, random) for mine, other in (halves, halves[::-1])]
        return {"sources": sources, "queries": torch.stack(queries).numpy()}

    def _halves(
        self, clip: Clip, label: int, random: np.random.Generator
    ) -> tuple[Embedding, Embedding]:
        """What may ask for a recording: a text and a sound."""
        phrase = clip.phrases[random.integers(len(clip.phrases))]
        sound = clip if self.by_itself else self.classes.clip(label, random)
        return self.embeddings.text(phrase), self.embeddings.sound(sound, random)


def asked(
    wanted: tuple[Embedding, Embedding],
    unwanted: tuple[Embedding, Embedding],
    random: np.random.Generator,
) -> Tensor:
    """A query ``(1024,)`` of a text and a sound that are wanted, and of those that are not.

    Both halves lie at the same place between text and sound.
    """
    share, side = random.random(2)
    positive, negative = (
        torch.from_numpy(share * sound + (1 - share) * text).float()
        for text, sound in (wanted, unwanted)
    )
    return query(
        None if side < _ONE_SIDED else positive,
        None if side >= 1 - _ONE_SIDED else negative,
    )


def cut(clip: Clip, samples: int, random: np.random.Generator) -> Samples:
    """So many samples from anywhere in a recording; silence follows one that is shorter."""
    own = excerpt(clip, min(samples, len(clip.samples)), random)
    return np.pad(own, (0, samples - len(own)))


def mixed(first: Samples, second: Samples) -> Samples:
    """Both, ``(2, samples)``: the second as loud as the first, and their sum within full scale."""
    powers = [float(np.square(source, dtype=np.float64).sum()) for source in (first, second)]
    gain = np.sqrt(powers[0] / powers[1]) if min(powers) > 0 else 1.0
    sources = np.stack([first, np.float32(gain) * second])
    peak = float(np.abs(sources.sum(0)).max())
    scaled: Samples = sources * np.float32(_PEAK / peak if peak > 1 else 1)
    return scaled


def _heard(clip: Clip, sample_rate: int, speed: float) -> Samples:
    """The beginning of a recording as CLAP hears it, played at another speed."""
    samples = clip.samples[: int(CLIP * speed * sample_rate / RATE)].astype(np.float32) / 32_768
    played: Samples = soxr.resample(samples, speed * sample_rate, RATE)
    return played
