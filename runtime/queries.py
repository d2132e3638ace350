"""Words to the conditioning that a session takes, on the way a bundle and its encoder allow.

A phrase that the bundle knows has its embedding stored; other words go through the text encoder the
network was trained with: one that ships, or one that the caller can load. The bundle's conditioner
turns either into conditioning.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import QueryError
from .sentence_encoder import shipped_encoder, shipped_encoders
from .vocabulary import Vocabulary, normalised

__all__ = [
    "Loader",
    "TextEncoder",
    "Vocabulary",
    "are_baked",
    "baked_conditioning",
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
    bundle: Bundle,
    queries: Sequence[str],
    negatives: Sequence[str] = (),
    *,
    load: Loader | None = None,
) -> NDArray[np.float32]:
    """Conditioning [Q + N, D] of Q queries and N negatives in words, for a session of that bundle.

    Negatives name sounds that are not wanted and might be taken for one that is: they are asked
    for as well, in the last N rows, so that masks that share what they hear give them theirs. Who
    plays the session counts their stems to the residual. What they ask for on average is taken off
    each query, by the share that the bundle's spec calls `opposition`: where both would be taken
    for wanted, it is what tells them apart that decides.

    Words that the bundle does not know take a text encoder, opened at the first of them (0.1 s) and
    20 ms a phrase: not for the audio thread. `load` is for an encoder that does not ship; it is
    never called for one that does.

    Raises `QueryError` for words that `check_words` refuses, a bundle that takes no new words, and
    unknown words without their encoder.
    """
    check_words(queries, negatives)
    if bundle.conditioner is None:
        baked = ", ".join(query.name for query in bundle.spec.queries)
        raise QueryError(
            f"{bundle.path} takes no words but those it was exported with ({baked}); "
            "export it again with yours"
        )
    rows = bundle.conditioner(_embeddings(bundle, [*queries, *negatives], load))
    return _opposed(rows, len(queries), bundle.spec.opposition) if negatives else rows


def _opposed(rows: NDArray[np.float32], queries: int, share: float) -> NDArray[np.float32]:
    wanted, unwanted = rows[:queries], rows[queries:]
    return np.concatenate([wanted - np.float32(share) * unwanted.mean(axis=0), unwanted])


def are_baked(bundle: Bundle, queries: Sequence[str]) -> bool:
    """Whether these are the words that the bundle was exported with, in their order.

    They need no conditioning, and some bundles take no others.
    """
    baked = [normalised(query.name) for query in bundle.spec.queries]
    return [normalised(words) for words in queries] == baked


def baked_conditioning(bundle: Bundle) -> NDArray[np.float32] | None:
    """The conditioning [Q, D] that the graph has as its default, if it can be told.

    It is not read from the graph but found again by the stored embeddings, which must be the ones
    that the export baked in.
    """
    vocabulary, conditioner = bundle.vocabulary, bundle.conditioner
    if vocabulary is None or conditioner is None:
        return None
    rows = []
    for query in bundle.spec.queries:
        row = vocabulary.find(query.name)
        if row is None or _digest(vocabulary.embeddings[row]) != query.embedding_sha256:
            return None
        rows.append(vocabulary.embeddings[row])
    return conditioner(np.stack(rows))


def _digest(embedding: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(embedding).tobytes()).hexdigest()


def check_words(queries: Sequence[str], negatives: Sequence[str] = ()) -> None:
    """Raise `QueryError` unless each query has a letter or digit, and no two are the same words.

    There must be a query; negatives there need not be, and none may say what a query says.
    """
    asked = [*queries, *negatives]
    keys = [normalised(words) for words in asked]
    if not queries or not all(keys):
        raise QueryError(f"queries {asked} are not all words; name a sound for each")
    # The same sound asked for twice would get half of it each time: masks share what they claim.
    for words, key in zip(asked, keys, strict=True):
        if keys.count(key) > 1:
            opposed = key in keys[: len(queries)] and key in keys[len(queries) :]
            how = "both asked for and not wanted" if opposed else "asked for more than once"
            raise QueryError(f"{words!r} is {how}; name each sound once")


def open_encoder(name: str, load: Loader | None = None) -> TextEncoder:
    """The text encoder of that name: the one that ships, else by `load`.

    Not for the audio thread; while it opens one that ships, Python stands still for 30 ms, so do it
    before a stream plays in the same process. Raises `QueryError` where it cannot be had.
    """
    if name in shipped_encoders():
        return shipped_encoder(name)
    if load is None:
        known = ", ".join(shipped_encoders())
        raise QueryError(
            f"text encoder {name!r} does not ship with Soloist; those that do: {known}"
        )
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
        embeddings = _encoder_for(bundle, unknown[0], load).encode(unknown)
        found.update(zip(unknown, embeddings, strict=True))
    return np.stack([found[words] for words in queries])


def _encoder_for(bundle: Bundle, words: str, load: Loader | None) -> TextEncoder:
    try:
        encoder = open_encoder(bundle.encoder, load)
    except QueryError as error:
        vocabulary = bundle.vocabulary
        nearest = vocabulary.nearest(words, 3) if vocabulary is not None else []
        known = ", ".join(phrase for phrase, _ in nearest) or "none stored"
        raise QueryError(
            f"{words!r} is not a word {bundle.spec.name} knows (nearest: {known}), and {error}"
        ) from error
    wanted = bundle.conditioner.embedding_size if bundle.conditioner is not None else 0
    if encoder.dimension != wanted:
        raise QueryError(
            f"{bundle.path} takes embeddings of {wanted} numbers, its text encoder {encoder.name} "
            f"makes {encoder.dimension}; export the bundle again"
        )
    return encoder
