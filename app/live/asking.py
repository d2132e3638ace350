"""What is asked for, and the line in which other words are typed while it plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.bundle import Bundle
from ...runtime.queries import conditioning_for
from ...runtime.vocabulary import normalised
from ...separators.encoders import load_encoder
from ...streaming.listening import Heard
from ...streaming.live.recorder import INPUT, RESIDUAL
from ...streaming.processor import Mode
from ..separate import stem_names
from ..words import Asked

# As many as fit a line.
_OFFERED = 4
_CLEAR = "\x15"  # Ctrl-U, as in a shell
_LONGEST = 200


class Asking:
    """The words that are asked for now; `send` is given the conditioning of others.

    `words` stays the same list, one for each sound; `unwanted` stay. `conditioning` is None while
    they are as baked in.
    """

    def __init__(
        self,
        bundle: Bundle,
        mode: Mode,
        asked: Asked,
        unwanted: Sequence[str],
        send: Callable[[NDArray[np.float32]], None],
    ) -> None:
        self._bundle, self._mode, self._unwanted, self._send = bundle, mode, unwanted, send
        self.words, self.conditioning = list(asked.words), asked.conditioning
        self._first = asked.words

    @property
    def task(self) -> str:
        """What is done, in a few words."""
        unwanted = f", not {', '.join(self._unwanted)}" if self._unwanted else ""
        return f"{self._mode} {', '.join(self.words)}{unwanted}"

    @property
    def file_names(self) -> tuple[str, ...]:
        """What each sound is called in a recording."""
        return tuple(stem_names(self.words, INPUT, RESIDUAL))

    @property
    def changed(self) -> bool:
        """Whether the words are others than at first."""
        return self.words != self._first

    def ask(self, number: int, words: str) -> None:
        """Ask for `words` in place of a sound's, counted from 0.

        Words that the model does not know take a tenth of a second, at first. Raises `SoloistError`
        for words that cannot be asked for, and all stays as it was.
        """
        wanted = [words if place == number else kept for place, kept in enumerate(self.words)]
        self.conditioning = conditioning_for(
            self._bundle, wanted, self._unwanted, load=load_encoder
        )
        self.words[number] = words
        self._send(self.conditioning)

    def offers(self, typed: str, heard: Heard) -> list[str]:
        """Phrases that the model knows and that may be meant.

        Where nothing is typed yet, it is what is heard and neither asked for nor unwanted.
        """
        if not typed:
            taken = {normalised(words) for words in (*self.words, *self._unwanted)}
            return [name for name, _ in heard if normalised(name) not in taken]
        vocabulary = self._bundle.vocabulary
        return [] if vocabulary is None else vocabulary.completions(typed, _OFFERED)


class Prompt:
    """A line of words in place of `sound`, number `number`; `offers` are what may be meant.

    `error` says why they could not be asked for, until another key is pressed.
    """

    def __init__(self, number: int, sound: str, offer: Callable[[str], list[str]]) -> None:
        self.number, self.sound = number, sound
        self.text = self.error = ""
        self.offers = offer("")
        self._offer = offer

    def press(self, key: str) -> None:
        """A letter, "backspace", "tab", which takes the first offer, or Ctrl-U."""
        self.error = ""
        if key == "tab":
            self.text = self.offers[0] if self.offers else self.text
        elif key == "backspace":
            self.text = self.text[:-1]
        elif key == _CLEAR:
            self.text = ""
        elif len(key) == 1 and key.isprintable():
            self.text = (self.text + key)[:_LONGEST]
        self.offers = self._offer(self.text)
