"""Pairs of recordings to mix and separate, as CLIPSep and its relatives learn from them.

Two clips of different classes, each with a random level, each with its query. Example ``i`` is the
same whenever it is drawn. Source: Dong et al., "CLIPSep" (ICLR 2023), and its published code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch.utils.data import Dataset

from .clips import Clip, active_power
from .phrases import ENCODER, embed
from .settings import FilePath, Table

SOURCES = 2
_LEVELS = (0.5, 1.5)  # of a source, a factor


class Queries(Table):
    """What a recipe is asked by.

    Attributes:
        mode: ``text``, ``image``, or ``hybrid``: text and image in turn, from step to step.
        encoder: text encoder; for names of others than the one that ships, such as
            ``clip/photo`` or ``bert-mini``, see ``separators.encoders``.
        images: an ``.npz`` file with an array for each clip by the clip's path: embeddings
            ``(frames, size)`` of its video, whose mean is the query.
    """

    mode: Literal["text", "image", "hybrid"] = "text"
    encoder: str = ENCODER
    images: FilePath | None = None


class QueryTable:
    """The embedding of each clip's words, and of its pictures, at a network's length.

    Raises:
        ValueError: embeddings are longer than the network's, or pictures are missing.
    """

    def __init__(self, clips: Sequence[Clip], queries: Queries, size: int) -> None:
        self.mode, self.size = queries.mode, size
        self._encoder = queries.encoder
        self._texts: dict[str, NDArray[np.float32]] = {}
        self._images: dict[str, NDArray[np.float32]] = {}
        if self.mode != "image":
            self.learn(phrase for clip in clips for phrase in clip.phrases)
        if self.mode != "text":
            self._images = self._read(queries.images, clips)

    def learn(self, phrases: Iterable[str]) -> None:
        """Encodes phrases."""
        found = embed(set(phrases), self._encoder)
        self._texts |= {phrase: self._fitted(vector) for phrase, vector in found.items()}

    def text(self, phrase: str) -> NDArray[np.float32]:
        """The embedding of a phrase, ``(size,)`` float32."""
        return self._texts[phrase]

    def draw(self, clip: Clip, turn: int, random: np.random.Generator) -> NDArray[np.float32]:
        """A query for a clip: its picture, or one of its phrases. ``hybrid`` alternates by turn."""
        if self.mode == "image" or (self.mode == "hybrid" and turn % 2 == 0):
            return self._images[clip.path]
        return self._texts[clip.phrases[random.integers(len(clip.phrases))]]

    def _read(self, path: Path | None, clips: Sequence[Clip]) -> dict[str, NDArray[np.float32]]:
        if path is None:
            raise ValueError(f"queries.mode {self.mode} needs queries.images, a file of embeddings")
        with np.load(path, allow_pickle=False) as table:
            missing = [clip.path for clip in clips if clip.path not in table]
            if missing:
                raise ValueError(
                    f"{path} has no embeddings of {len(missing)} clips, such as {missing[0]}"
                )
            return {
                clip.path: self._fitted(np.atleast_2d(table[clip.path]).mean(0)) for clip in clips
            }

    def _fitted(self, vector: NDArray[Any]) -> NDArray[np.float32]:
        """Zeros follow an embedding that is shorter than the network's."""
        if len(vector) > self.size:
            raise ValueError(
                f"embeddings have {len(vector)} numbers, the network takes {self.size}"
            )
        return np.pad(vector, (0, self.size - len(vector))).astype(np.float32)


class Mixing(Table):
    """How pairs are made.

    Attributes:
        pollution: share of the sources that come with a sound that nobody asked for, of a third
            class: recordings as they are found, not as they are labelled.
        pollution_db: by how much that sound is quieter than the source, at most; at least it is
            as loud.
    """

    pollution: float = Field(default=0.0, ge=0, le=1)
    pollution_db: float = Field(default=5.0, ge=0)


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

    def choose(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of so many different classes."""
        return random.choice(len(self.labels), count, replace=False, p=self._weight)

    def clip(self, number: int, random: np.random.Generator) -> Clip:
        """A recording of a class."""
        clips = self._clips[number]
        return clips[random.integers(len(clips))]


class Pairs(Dataset[Mapping[str, Any]]):
    """Endless pairs by number.

    An example holds ``sources`` ``(2, samples)`` float32, which add up to the mixture; ``queries``
    ``(2, size)`` float32; ``labels`` ``(2,)`` int64, the number of each source's class.

    Args:
        clips: recordings, all at one rate.
        queries: their embeddings.
        samples: length of an example.
        batch: examples a step, for queries that go by steps.
        seed: the same seed gives the same pairs.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        queries: QueryTable,
        mixing: Mixing,
        samples: int,
        batch: int,
        seed: int,
    ) -> None:
        self.queries, self.mixing = queries, mixing
        self.samples, self.batch, self.seed = samples, batch, seed
        self.classes = Classes(clips, least=SOURCES + 1)

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng((self.seed, index))
        sources, queries = [], []
        chosen = self.classes.choose(SOURCES + 1, random)
        for number in chosen[:SOURCES]:
            clip = self.classes.clip(number, random)
            sources.append(self._source(clip, int(chosen[SOURCES]), random))
            queries.append(self.queries.draw(clip, index // self.batch, random))
        return {
            "sources": np.stack(sources) / SOURCES,
            "queries": np.stack(queries),
            "labels": chosen[:SOURCES].astype(np.int64),
        }

    def _source(self, clip: Clip, other: int, random: np.random.Generator) -> NDArray[np.float32]:
        """An excerpt at a random level, within full scale; polluted or not."""
        source = excerpt(clip, self.samples, random)
        if random.random() < self.mixing.pollution:
            noise = excerpt(self.classes.clip(other, random), self.samples, random)
            level = 10 ** (-random.uniform(0, self.mixing.pollution_db) / 20)
            source += level * noise * _balance(source, noise)
        return at_random_level(source, random)


def excerpt(clip: Clip, samples: int, random: np.random.Generator) -> NDArray[np.float32]:
    """So many samples from anywhere in a clip, which starts again where it is shorter."""
    audio = np.resize(clip.samples, max(samples, len(clip.samples)))
    start = random.integers(len(audio) - samples + 1)
    return audio[start : start + samples].astype(np.float32) / np.float32(32768)


def at_random_level(
    source: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float32]:
    """The source louder or softer, within full scale."""
    scaled: NDArray[np.float32] = np.float32(random.uniform(*_LEVELS)) * source
    return scaled.clip(-1, 1)


def _balance(source: NDArray[np.float32], noise: NDArray[np.float32]) -> float:
    """The factor that makes the noise as loud as the source; none where either is silent."""
    loud = active_power(noise)
    return float(np.sqrt(active_power(source) / loud)) if loud > 0 else 0.0
