"""What a bundle is to be made for: words, pictures, embeddings, and mixes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import QueryError

IMAGE, SOUND, FILE = PREFIXES = ("image:", "sound:", "file:")
"""A picture, a sound, an embedding: what may stand for words where a system takes it."""

_SIGN = re.compile(r"\s([+-])(?=\s)")
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*\*\s*")


@dataclass(frozen=True)
class Asked:
    """Queries in the order in which their stems come.

    Attributes:
        queries: words, one query each; see :func:`terms` for what else they can say.
        embeddings: further queries by name, with the file that holds what they became.
        prompts: name of what goes around the words, for encoders that take prompts.
        weights: file or folder with the encoder's weights; None: where its library finds them.
        negatives: what no query is like, one term each.
    """

    queries: tuple[str, ...] = ()
    embeddings: Mapping[str, Path] = field(default_factory=dict)
    prompts: str = "photo"
    weights: str | None = None
    negatives: tuple[str, ...] = ()

    def terms(self, query: str) -> list[Term]:
        """The :func:`terms` of one of the queries, and after them what no query is like."""
        return [*terms(query), *self.unwanted()]

    def unwanted(self) -> list[Term]:
        """What no query is like."""
        return [_term(text, text, wanted=False) for text in self.negatives]


@dataclass(frozen=True)
class Term:
    """One thing that a query names: words, or a file after one of :data:`PREFIXES`.

    ``weight`` is above zero, ``wanted`` False for what the sound is not like.
    """

    what: str
    weight: float
    wanted: bool


def terms(query: str) -> list[Term]:
    """Takes a query apart: ``violin + 0.5*viola - speech``.

    Signs stand between spaces, so that hyphens do not count; a weight is a number before a star.

    Raises:
        QueryError: a term is empty or weighs nothing, or none is wanted.
    """
    parts = ["+", *_SIGN.split(f" {query} ")]
    found = [
        _term(query, text, wanted=sign == "+")
        for sign, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    if not any(term.wanted for term in found):
        raise QueryError(f"the query {query!r} says only what is not wanted")
    return found


def _term(query: str, text: str, *, wanted: bool) -> Term:
    text = text.strip()
    weight = _WEIGHT.match(text)
    what = text[weight.end() :] if weight else text
    amount = float(weight[1]) if weight else 1.0
    if not what or not 0 < amount < 1e6:
        raise QueryError(f"the query {query!r} has a part that says nothing: {text!r}")
    return Term(what, amount, wanted)


def read_embedding(path: Path, size: int) -> NDArray[np.float32]:
    """Reads an embedding of that many numbers, ``(size,)`` float32, from an ``.npy`` file.

    Raises:
        QueryError: it is no such file, or holds something else.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise QueryError(f"cannot read the embedding {str(path)!r}: {reason}") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu" or found.size != size:
        shape = found.shape if isinstance(found, np.ndarray) else "several arrays"
        raise QueryError(f"{str(path)!r} holds {shape}; this system takes {size} numbers a query")
    row: NDArray[np.float32] = found.reshape(size).astype(np.float32)
    if not np.isfinite(row).all():
        raise QueryError(f"{str(path)!r} holds numbers that are not finite")
    return row
