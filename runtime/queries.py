"""Words to the conditioning that a session takes, on the way a bundle and its encoder allow.

A phrase that the bundle knows has its embedding stored; other words need the text encoder, an
optional install that the caller knows how to load. The bundle's conditioner turns either into
conditioning.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import QueryError
from .vocabulary import Vocabulary, normalised

__all__ = [
    "Loader",
    "TextEncoder",
    "Vocabulary",
    "check_words",
    "conditioning_for",
    "open_encoder",
]


class TextEncoder(Protocol):
    """Turns phrases into embeddings."""

    @property
    def name(self) -> str:
        """What bundles call it."""

    @property
    def dimension(self) -> int:
        """Length E of one embedding."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings [N, E] of N phrases, each row of Euclidean length 1."""


Loader = Callable[[str], TextEncoder]
"""Loads the text encoder of a name; raises ImportError, OSError or ValueError where it cannot."""


def conditioning_for(
    bundle: Bundle, queries: Sequence[str], load: Loader | None = None
) -> NDArray[np.float32]:
    """Conditioning [Q, D] of Q queries in words, for a session of that bundle.

    `load` is called for words that the bundle does not know (seconds: not for the audio thread).
    Raises `QueryError` for empty words, a bundle that takes no new words, and unknown words
    without their encoder.
    """
    check_words(queries)
    if bundle.conditioner is None:
        baked = ", ".join(query.name for query in bundle.spec.queries)
        raise QueryError(
            f"{bundle.path} takes no words but those it was exported with ({baked}); "
            "export it again with yours"
        )
    return bundle.conditioner(_embeddings(bundle, queries, load))


def check_words(queries: Sequence[str]) -> None:
    """Raise `QueryError` unless each query is words, and no two are the same ones."""
    if not queries or not all(words.strip() for words in queries):
        raise QueryError(f"queries {list(queries)} are not all words; name a sound for each")
    # The same sound asked for twice would get half of it each time: masks share what they claim.
    asked = [normalised(words) for words in queries]
    twice = [words for words, key in zip(queries, asked, strict=True) if asked.count(key) > 1]
    if twice:
        raise QueryError(f"{twice[0]!r} is asked for more than once; name each sound once")


def open_encoder(name: str, load: Loader) -> TextEncoder:
    """The text encoder of that name; raises `QueryError` where it cannot be had."""
    try:
        encoder = load(name)
    except (ImportError, OSError, ValueError) as error:
        raise QueryError(str(error)) from error
    if encoder.name != name:
        raise QueryError(f"text encoder {name!r} is needed, {encoder.name!r} was loaded")
    return encoder


def _embeddings(bundle: Bundle, queries: Sequence[str], load: Loader | None) -> NDArray[np.float32]:
    vocabulary = bundle.vocabulary
    found: dict[str, NDArray[np.float32]] = {}
    if vocabulary is not None:
        rows = {words: vocabulary.find(words) for words in queries}
        found = {words: vocabulary.embeddings[r] for words, r in rows.items() if r is not None}
    unknown = [words for words in queries if words not in found]
    if unknown:
        encoder = _encoder_for(bundle, unknown[0], load)
        found.update(zip(unknown, encoder.encode(unknown), strict=True))
    return np.stack([found[words] for words in queries])


def _encoder_for(bundle: Bundle, words: str, load: Loader | None) -> TextEncoder:
    try:
        if load is None:
            raise QueryError(f"no loader for its text encoder {bundle.encoder} was given")
        return open_encoder(bundle.encoder, load)
    except QueryError as error:
        vocabulary = bundle.vocabulary
        nearest = vocabulary.nearest(words, 3) if vocabulary is not None else []
        known = ", ".join(phrase for phrase, _ in nearest) or "none stored"
        raise QueryError(
            f"{words!r} is not a word {bundle.spec.name} knows (nearest: {known}), and {error}"
        ) from error
