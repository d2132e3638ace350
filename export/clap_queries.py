"""Queries in CLAP's space: words, recordings and embeddings, each one row of 512 numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..runtime.errors import QueryError
from ..runtime.queries import check_words
from ..runtime.spec import Query
from ..separators.checkpoint_files import companion
from ..separators.clap import FILES, Clap
from ..separators.clap_audio import CLIP, RATE
from ..separators.clap_text import DIMENSION
from ..separators.clap_tokens import ROBERTA
from .asked import FILE, IMAGE, SOUND, Term, read_embedding
from .windowed import digest

Embedding = NDArray[np.float32]
Weighted = list[tuple[float, Embedding]]

_FULL_SCALE = 32_767
_VOCABULARY = "vocab.json"


class ClapQueries:
    """CLAP, loaded at the first words or sound that need it.

    Args:
        encoder: its name, one of :data:`~..separators.clap.FILES`.
        checkpoint: of the separator; CLAP lies beside it, or is in it, or comes from the hub.
        weights: CLAP's file instead; or a folder with it, or with the vocabulary of roberta-base
            (``vocab.json``, ``merges.txt``), or with both.

    Raises:
        QueryError: `weights` is neither.
    """

    def __init__(self, encoder: str, checkpoint: Path, weights: str | None) -> None:
        self.encoder = encoder
        self._checkpoint = checkpoint
        self._weights = companion(checkpoint, FILES[encoder])
        self._vocabulary: str | None = None
        if weights is None:
            return
        given = Path(weights)
        clap = given / FILES[encoder] if given.is_dir() else given
        if clap.is_file():
            self._weights = clap
        if (given / _VOCABULARY).is_file():
            self._vocabulary = weights
        elif not clap.is_file():
            raise QueryError(
                f"no weights of {encoder} in {weights!r}; expected the file {FILES[encoder]}, or a "
                f"folder with it, or with the vocabulary of {ROBERTA} ({_VOCABULARY}, merges.txt)"
            )

    def embed(self, terms: Sequence[Term]) -> Weighted:
        """Weight and embedding ``(512,)`` float32 of each term, of length 1 but for those of files.

        Raises:
            QueryError: a file cannot be read, or CLAP cannot be had.
        """
        return [(term.weight, self._row(term.what)) for term in terms]

    def _row(self, what: str) -> Embedding:
        if what.startswith(FILE):
            return read_embedding(Path(what.removeprefix(FILE)), DIMENSION)
        if what.startswith(IMAGE):
            raise QueryError(f"CLAP takes words and sounds, not the picture {what!r}")
        try:
            if what.startswith(SOUND):
                sound = read_sound(Path(what.removeprefix(SOUND)))
                row: Embedding = self._clap.encode_sounds([sound])[0]
            else:
                row = self._clap.encode([what])[0]
        except (ImportError, OSError, ValueError) as error:
            raise QueryError(str(error)) from error
        return row

    @cached_property
    def _clap(self) -> Clap:
        if self._weights is not None:
            return Clap(self._weights, self._vocabulary, self.encoder)
        try:
            return Clap(self._checkpoint, self._vocabulary, self.encoder)
        except ValueError:  # the separator alone is in it
            return Clap(None, self._vocabulary, self.encoder)


def embed_queries(
    named: Mapping[str, Sequence[Term]],
    files: Mapping[str, Path],
    clap: ClapQueries,
    join: Callable[[Weighted, Weighted], Embedding],
    read: Callable[[Path], Embedding],
) -> tuple[tuple[Query, ...], Tensor]:
    """What bundles say of queries, and their embeddings ``(queries, size)``.

    Args:
        named: terms of queries by their names.
        files: further queries, of which the embedding is in a file.
        clap: embeds the terms.
        join: makes one embedding of those that are wanted and those that are not.
        read: reads a file.

    Raises:
        QueryError: no queries, equal ones, or what the arguments raise; a ``ValueError`` of theirs
            becomes one.
    """
    check_words([*named, *files])
    queries, rows = [], []
    try:
        for name, terms in named.items():
            halves = [[t for t in terms if t.wanted == wanted] for wanted in (True, False)]
            rows.append(join(*(clap.embed(half) for half in halves)))
            texts = [tuple(term.what for term in half) for half in halves]
            queries.append(Query(name, texts[0], texts[1], clap.encoder, digest(rows[-1])))
        for name, file in files.items():
            rows.append(read(file))
            queries.append(Query(name, (name,), (), clap.encoder, digest(rows[-1])))
    except ValueError as error:
        raise QueryError(str(error)) from error
    return tuple(queries), torch.from_numpy(np.stack(rows))


def read_sound(path: Path) -> NDArray[np.float32]:
    """Reads a recording as CLAP hears it, ``(samples,)`` float32, mono at 48 kHz.

    Only its first 10 s count. As in the published code they are rounded to 16 bits, towards zero.

    Raises:
        QueryError: it is no recording, or an empty one.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            audio = file.read(-(-CLIP * rate // RATE), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # what soundfile raises is a RuntimeError
        reason = str(error).partition("\n")[0][:160]
        raise QueryError(f"cannot read the sound {str(path)!r}: {reason}") from error
    mono = soxr.resample(audio.mean(axis=1), rate, RATE)
    if not len(mono) or not np.isfinite(mono).all():
        raise QueryError(f"the sound {str(path)!r} is empty, or its samples are no numbers")
    whole = np.trunc(np.clip(mono, -1, 1) * _FULL_SCALE)
    rounded: NDArray[np.float32] = (whole / _FULL_SCALE).astype(np.float32)
    return rounded
