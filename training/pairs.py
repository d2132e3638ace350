"""Pairs of recordings to mix and separate, as CLIPSep and its relatives learn from them.

Two clips of different classes, each with a random level, each with its query. Example ``i`` is the
same whenever it is drawn. Source: Dong et al., "CLIPSep" (ICLR 2023), and its published code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch.utils.data import Dataset

from ..separators.clap_mini import RATE
from .clips import Clip, beginning
from .drawing import Classes, as_loud, at_random_level, excerpt, without_noise
from .joint import Joint, open_joint
from .phrases import ENCODER, embed
from .settings import FilePath, Table

SOURCES = 2


class Queries(Table):
    """What a recipe is asked by.

    Attributes:
        mode: ``text``, ``image``, or ``hybrid``: text and image in turn, from step to step; or
            ``sound``: a clip is asked for by what ``clap`` hears in it.
        encoder: text encoder; for names of others than the one that ships, such as
            ``clip/photo`` or ``bert-mini``, see ``separators.encoders``.
        images: an ``.npz`` file with an array for each clip by the clip's path: embeddings
            ``(frames, size)`` of its video, whose mean is the query.
        clap: a joint model of sounds and words, see :func:`~.joint.open_joint`, which then tells
            texts, too.
        vocabulary: folder with that of roberta-base, for LAION-CLAP; by default from the hub.
    """

    mode: Literal["text", "image", "hybrid", "sound"] = "text"
    encoder: str = ENCODER
    images: FilePath | None = None
    clap: FilePath | None = None
    vocabulary: FilePath | None = None

    @model_validator(mode="after")
    def _heard(self) -> Queries:
        if self.mode == "sound" and self.clap is None:
            raise ValueError('mode "sound" needs queries.clap, a joint model of sounds and words')
        return self


class QueryTable:
    """The embedding of each clip's words, and of its pictures or sound, at a network's length.

    Args:
        clips: recordings at 16 kHz.
        queries: what is asked by.
        size: length of the network's queries.

    Raises:
        ValueError: embeddings are longer than the network's, or pictures are missing.
    """

    def __init__(self, clips: Sequence[Clip], queries: Queries, size: int) -> None:
        self.mode, self.size = queries.mode, size
        self._encoder = queries.encoder
        self._joint: Joint | None = None
        if queries.clap is not None:
            self._joint = open_joint(queries.clap, queries.vocabulary)
        self._texts: dict[str, NDArray[np.float32]] = {}
        self._others: dict[str, NDArray[np.float32]] = {}  # by clip: pictures, or its sound
        if self.mode in ("text", "hybrid"):
            self.learn(phrase for clip in clips for phrase in clip.phrases)
        if self.mode in ("image", "hybrid"):
            self._others = self._read(queries.images, clips)
        if self.mode == "sound":
            self._others = {clip.path: self._heard(clip) for clip in clips}

    def learn(self, phrases: Iterable[str]) -> None:
        """Encodes phrases."""
        found = self._encode(sorted(set(phrases)))
        self._texts |= {phrase: self._fitted(vector) for phrase, vector in found.items()}

    def text(self, phrase: str) -> NDArray[np.float32]:
        """The embedding of a phrase, ``(size,)`` float32."""
        return self._texts[phrase]

    def draw(self, clip: Clip, turn: int, random: np.random.Generator) -> NDArray[np.float32]:
        """A query for a clip: its picture or sound, or one of its phrases.

        ``hybrid`` alternates by turn.
        """
        if self.mode in ("image", "sound") or (self.mode == "hybrid" and turn % 2 == 0):
            return self._others[clip.path]
        return self._texts[clip.phrases[random.integers(len(clip.phrases))]]

    def _encode(self, phrases: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        if self._joint is None:
            return embed(phrases, self._encoder)
        return dict(zip(phrases, self._joint.texts(phrases).numpy(), strict=True))

    def _heard(self, clip: Clip) -> NDArray[np.float32]:
        assert self._joint is not None
        with torch.no_grad():
            sound = self._joint.sounds(torch.from_numpy(beginning(clip, RATE))[None])
        return self._fitted(sound[0].numpy())

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
        noise: classes that pollute and that nobody asks for, another one for each source of a
            pair; none: any third class.
    """

    pollution: float = Field(default=0.0, ge=0, le=1)
    pollution_db: float = Field(default=5.0, ge=0)
    noise: tuple[str, ...] = ()


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

    Raises:
        ValueError: too few classes to ask for or to pollute with.
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
        asked, noise = without_noise(clips, mixing.noise, "mixing.noise")
        self.classes = Classes(asked, least=SOURCES + 1)
        self._pollutants = Classes(noise, least=SOURCES) if noise else self.classes

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng((self.seed, index))
        sources, queries = [], []
        chosen = self.classes.choose(SOURCES + 1, random)
        others = chosen[SOURCES:].repeat(SOURCES)
        if self.mixing.noise:
            others = self._pollutants.choose(SOURCES, random)
        for number, other in zip(chosen[:SOURCES], others, strict=True):
            clip = self.classes.clip(number, random)
            sources.append(self._source(clip, int(other), random))
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
            noise = excerpt(self._pollutants.clip(other, random), self.samples, random)
            source += as_loud(noise, source, random.uniform(0, self.mixing.pollution_db))
        return at_random_level(source, random)
