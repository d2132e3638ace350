"""The words a bundle knows: phrases with their embeddings, so that asking needs no text encoder."""

import base64
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from .errors import BundleError
from .records import decode, parse_object

MAX_PHRASE_LETTERS = 200
"""Comparing spellings takes time by the square of it."""

_WHERE = "bundle vocabulary"
_STORED = np.dtype("<f2")  # half the bytes; rounding turns a unit vector by 0.02 degrees


class Vocabulary:
    """Known phrases and their embeddings, grouped into classes.

    `encoder`: name of the text encoder that made `embeddings` [P, E] (float32, one row a phrase);
    `classes`: name of a class to its phrasings, each one of `phrases`.
    Raises `BundleError` if the parts do not fit together.
    """

    def __init__(
        self,
        encoder: str,
        phrases: Sequence[str],
        embeddings: NDArray[np.floating],
        classes: Mapping[str, Sequence[str]],
    ) -> None:
        self.encoder = encoder
        self.phrases = tuple(phrases)
        self.embeddings: NDArray[np.float32] = np.asarray(embeddings, dtype=np.float32)
        self.classes = {name: tuple(members) for name, members in classes.items()}
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.phrases):
            raise BundleError(
                f"{_WHERE}: {len(self.phrases)} phrases have embeddings of shape "
                f"{self.embeddings.shape}; export the bundle again"
            )
        if not np.isfinite(self.embeddings).all():
            raise BundleError(f"{_WHERE}: embeddings are not finite; export the bundle again")
        for text in (self.encoder, *self.phrases, *self.classes):
            if not text.isprintable() or len(text) > MAX_PHRASE_LETTERS:
                raise BundleError(
                    f"{_WHERE}: {text!r:.60} is no phrase; expected up to {MAX_PHRASE_LETTERS} "
                    "letters on one line"
                )
        strangers = {p for members in self.classes.values() for p in members} - {*self.phrases}
        if strangers:
            raise BundleError(f"{_WHERE}: class phrase {min(strangers)!r} has no embedding")
        self._index: dict[str, int] = {}
        for index, phrase in enumerate(self.phrases):
            self._index.setdefault(normalised(phrase), index)

    @property
    def dimension(self) -> int:
        """Length E of one embedding."""
        return int(self.embeddings.shape[1])

    def find(self, words: str) -> int | None:
        """Row of the phrase that equals `words` but for case, spaces and punctuation, or None."""
        return self._index.get(normalised(words))

    def nearest(self, query: str | NDArray[np.floating], n: int = 5) -> list[tuple[str, float]]:
        """The `n` phrases closest to some words or to an embedding [E], best first, with a score.

        For an embedding, or for words that are known, closest in meaning: the score is the cosine,
        in [-1, 1]. For unknown words closest in spelling: the share of letters in common, [0, 1].
        """
        if isinstance(query, str):
            index = self.find(query)
            scores = self._spelling(query) if index is None else self._cosines(index)
        else:
            scores = _cosines(self.embeddings, np.asarray(query, dtype=np.float32))
        best = np.argsort(-scores, kind="stable")[:n]
        return [(self.phrases[index], float(scores[index])) for index in best]

    def completions(self, typed: str, n: int = 5) -> list[str]:
        """Up to `n` phrases in which what is typed begins a word, one of each class at most.

        Those come first that begin with it, then shorter ones.
        """
        beginning = normalised(typed)
        if not beginning:
            return []
        if typed[-1].isspace():  # that word is whole
            beginning += " "
        found = [
            (not phrase.startswith(beginning), len(phrase), index)
            for phrase, index in self._index.items()
            if f" {beginning}" in f" {phrase}"
        ]
        phrases = [self.phrases[index] for *_, index in sorted(found)]
        classes = {phrase: name for name, members in self.classes.items() for phrase in members}
        firsts: dict[str, str] = {}  # of each class; a phrase of none stands for itself
        for phrase in phrases:
            firsts.setdefault(classes.get(phrase, phrase), phrase)
        return list(firsts.values())[:n]

    def _cosines(self, index: int) -> NDArray[np.float32]:
        return _cosines(self.embeddings, self.embeddings[index])

    def _spelling(self, words: str) -> NDArray[np.float32]:
        wanted = SequenceMatcher(b=normalised(words))
        scores = np.zeros(len(self.phrases), dtype=np.float32)
        for index, phrase in enumerate(self.phrases):
            wanted.set_seq1(normalised(phrase))
            scores[index] = wanted.ratio()
        return scores

    def to_json(self) -> str:
        """The text for the bundle's metadata; embeddings are stored as float16."""
        return json.dumps(
            {
                "encoder": self.encoder,
                "dimension": self.dimension,
                "classes": self.classes,
                "phrases": self.phrases,
                "embeddings": base64.b64encode(self.embeddings.astype(_STORED).tobytes()).decode(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """Read the text of a bundle's metadata; `BundleError` says what is wrong."""
        record = decode(_Record, parse_object(text, _WHERE), _WHERE)
        try:
            data = base64.b64decode(record.embeddings, validate=True)
        except ValueError as error:
            raise BundleError(f"{_WHERE}: the embeddings are not base64 ({error})") from error
        rows, dimension = len(record.phrases), record.dimension
        if dimension < 1 or len(data) != rows * dimension * _STORED.itemsize:
            raise BundleError(
                f"{_WHERE}: found {len(data)} bytes of embeddings, expected {rows} rows of "
                f"{dimension} float16 numbers; export the bundle again"
            )
        embeddings = np.frombuffer(data, dtype=_STORED).reshape(rows, dimension)
        return cls(record.encoder, record.phrases, embeddings, record.classes)


@dataclass(frozen=True)
class _Record:
    """A vocabulary as it is stored: rows of float16 in base64."""

    encoder: str
    dimension: int
    classes: Mapping[str, tuple[str, ...]]
    phrases: tuple[str, ...]
    embeddings: str


def normalised(words: str) -> str:
    """`words` without case, punctuation and spare spaces: what makes two askings the same."""
    folded = unicodedata.normalize("NFKC", words).casefold()
    return " ".join(re.findall(r"[^\W_]+", folded))


def _cosines(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    return np.asarray(rows @ vector / np.maximum(lengths, np.finfo(np.float32).tiny))
