"""Mixtures with captions that name the sounds in them, and mixtures of those.

What weak supervision learns from: nobody has to know a sound alone. Example ``i`` is the same
whenever it is drawn. Source: Mahmud et al. (ICLR 2024, arXiv 2404.01740), and their published code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from .clips import Clip, plain_name
from .drawing import Classes, as_loud, at_random_level, excerpt
from .settings import Table


class Captions(Table):
    """How captioned mixtures are made.

    Attributes:
        sources: sounds that a caption names, each of another class.
        phrases: a sound is named by ``any`` phrase of its recording, or by its ``class`` alone, as
            the published training has it; the latter are few, and encoded once.
        singles: share of the examples whose captions name one sound each: single recordings, which
            supervision has and weak supervision has not.
        together: groups of classes that are heard together and apart from all others, as sounds of
            one place are: a caption's are of one group, an example's captions of different ones.
            None: any classes may meet.
        quieter_db: sounds after a caption's first one are made as loud as it, or up to so much
            quieter, before each gets a random level; None: all are as loud as they were recorded.
    """

    sources: int = Field(default=2, ge=1, le=8)
    phrases: Literal["any", "class"] = "any"
    singles: float = Field(default=0.0, ge=0, le=1)
    together: list[list[str]] = Field(default=[])
    quieter_db: float | None = Field(default=None, ge=0)


class Mixtures(Captions):
    """How mixtures of captioned mixtures are made.

    Attributes:
        mixtures: captioned mixtures in an example.
    """

    mixtures: int = Field(default=2, ge=2, le=8)


class Captioned(Dataset[Mapping[str, Any]]):
    """Endless examples by number, each of ``mixtures`` captioned mixtures of ``sources`` sounds.

    An example holds ``sounds`` ``(mixtures, sources, samples)`` float32, which add up to the whole;
    ``phrases`` ``(mixtures, sources)`` int64, each a number in :attr:`phrases`; ``places``
    ``(mixtures,)`` int64, the group of ``together`` that each is of, 0 where there are none;
    ``single``, whether its captions name one sound each: then the others are silence, and the
    phrase is repeated.

    Args:
        clips: recordings, all at one rate.
        captions: how they are mixed.
        mixtures: captioned mixtures in an example.
        samples: length of an example.
        seed: the same seed gives the same examples.

    Raises:
        ValueError: too few classes or groups, or groups of classes that are not there.
    """

    def __init__(
        self, clips: Sequence[Clip], captions: Captions, mixtures: int, samples: int, seed: int
    ) -> None:
        self.captions, self.mixtures, self.samples, self.seed = captions, mixtures, samples, seed
        self.classes = Classes(clips, least=mixtures * captions.sources)
        self.phrases = sorted({phrase for clip in clips for phrase in self._names(clip)})
        self._numbers = {phrase: number for number, phrase in enumerate(self.phrases)}
        self._groups = self._find_groups()

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng((self.seed, index))
        single = random.random() < self.captions.singles
        count = 1 if single else self.captions.sources
        sounds = np.zeros((self.mixtures, self.captions.sources, self.samples), np.float32)
        phrases = np.zeros(sounds.shape[:2], np.int64)
        places, chosen = self._choose(count, random)
        for n, numbers in enumerate(chosen):
            for p, number in enumerate(numbers):
                clip = self.classes.clip(number, random)
                sound = excerpt(clip, self.samples, random)
                if p and self.captions.quieter_db is not None:
                    sound = as_loud(
                        sound, sounds[n, 0], random.uniform(0, self.captions.quieter_db)
                    )
                sounds[n, p] = at_random_level(sound, random)
                names = self._names(clip)
                phrases[n, p] = self._numbers[names[random.integers(len(names))]]
            phrases[n, count:] = phrases[n, 0]
        return {
            "sounds": sounds / np.float32(self.mixtures * count),
            "phrases": phrases,
            "places": places,
            "single": np.bool_(single),
        }

    def _find_groups(self) -> list[list[int]]:
        """The numbers of the classes that are heard together."""
        groups, labels = self.captions.together, self.classes.labels
        unknown = [name for group in groups for name in group if name not in labels]
        if unknown:
            raise ValueError(f"found {unknown[0]!r} in mixing.together, the classes are {labels}")
        few = [group for group in groups if len(set(group)) < self.captions.sources]
        if groups and (few or len(groups) < self.mixtures):
            raise ValueError(
                f"found {groups} in mixing.together; it takes at least {self.mixtures} groups of "
                f"at least {self.captions.sources} classes"
            )
        return [sorted(labels.index(name) for name in set(group)) for group in groups]

    def _choose(
        self, count: int, random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places ``(mixtures,)`` and classes ``(mixtures, count)``, no two of them the same."""
        if not self._groups:
            anywhere = self.classes.choose(self.mixtures * count, random).reshape(-1, count)
            return np.zeros(self.mixtures, np.int64), anywhere
        places = random.choice(len(self._groups), self.mixtures, replace=False)
        chosen = [random.choice(self._groups[n], count, replace=False) for n in places]
        return places, np.stack(chosen)

    def _names(self, clip: Clip) -> tuple[str, ...]:
        """What a recording's sound may be called."""
        return clip.phrases if self.captions.phrases == "any" else (plain_name(clip.label),)

    def words(self, numbers: Tensor) -> tuple[list[list[str]], list[list[str]]]:
        """What the captions of a batch say.

        Args:
            numbers: ``(batch, mixtures, sources)``, of phrases.

        Returns:
            For each example its captions, each of which names its sounds, and its phrases, those of
            one caption after those of the one before.
        """
        captions, phrases = [], []
        for example in numbers.tolist():
            named = [[self.phrases[number] for number in row] for row in example]
            captions.append([" and ".join(dict.fromkeys(row)) for row in named])
            phrases.append([phrase for row in named for phrase in row])
        return captions, phrases
