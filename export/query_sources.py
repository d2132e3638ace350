"""Where embeddings of queries come from: an encoder, or a table that belongs to a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import QueryError
from ..runtime.queries import TextEncoder, open_encoder
from ..runtime.vocabulary import Vocabulary
from ..separators.checkpoint_files import companion, read_file, unwrap
from ..separators.clip_encoder import ClipEncoder
from ..separators.encoders import load_encoder

Embedding = NDArray[np.float32]

_LABELS = "labels"
_LARGEST_MAP = 1 << 24  # bytes of a file of labels


class Source(Protocol):
    """Makes embeddings of what a query names. Raises `QueryError` where it cannot.

    `encoder` is the name that bundles give it, `known` what it can embed without one.
    """

    @property
    def encoder(self) -> str: ...
    @property
    def known(self) -> Mapping[str, Embedding]: ...
    def words(self, text: str) -> Embedding: ...
    def image(self, path: Path) -> Embedding: ...


class EncoderSource:
    """A text encoder, loaded at the first words; it may take pictures, too."""

    def __init__(self, encoder: str, weights: str | None) -> None:
        self.encoder = encoder
        self._weights = weights
        self.known: Mapping[str, Embedding] = {}

    @cached_property
    def _loaded(self) -> TextEncoder:
        return open_encoder(self.encoder, lambda name: load_encoder(name, self._weights))

    def words(self, text: str) -> Embedding:
        try:
            row: Embedding = self._loaded.encode([text])[0]
        except ValueError as error:
            raise QueryError(str(error)) from error
        return row

    def image(self, path: Path) -> Embedding:
        if not self.encoder.startswith("clip/"):
            raise QueryError(f"encoder {self.encoder} takes words, not the picture {str(path)!r}")
        encoder = cast(ClipEncoder, self._loaded)
        try:
            row: Embedding = encoder.encode_images([path])[0]
        except OSError as error:
            reason = error.strerror or str(error)
            raise QueryError(f"cannot read the picture {str(path)!r}: {reason}") from error
        return row


class TableSource:
    """Labels and their embeddings, such as a network learnt or its training was given."""

    def __init__(self, encoder: str, known: Mapping[str, Embedding]) -> None:
        self.encoder, self.known = encoder, known
        self._labels = Vocabulary(encoder, list(known), np.stack(list(known.values())), {})

    def words(self, text: str) -> Embedding:
        row = self._labels.find(text)
        if row is None:
            near = ", ".join(label for label, _ in self._labels.nearest(text, 3))
            raise QueryError(f"{text!r} is none of the {len(self.known)} labels (nearest: {near})")
        found: Embedding = self._labels.embeddings[row]
        return found

    def image(self, path: Path) -> Embedding:
        raise QueryError(f"this system takes labels, not the picture {str(path)!r}")


def bert_source(checkpoint: Path, arguments: Mapping[str, object], weights: str | None) -> Source:
    """The embeddings that training read, where they lie beside the checkpoint; else the encoder."""
    table = companion(checkpoint, str(arguments.get("bert_embeddings", "bert_embeddings.pt")))
    if table is None:
        return EncoderSource("bert-mini", weights)
    try:
        rows = unwrap(read_file(table))
    except ValueError as error:
        raise QueryError(str(error)) from error
    if not rows or any(row.numel() != rows[next(iter(rows))].numel() for row in rows.values()):
        raise QueryError(f"{table} holds no embeddings of labels")
    return TableSource("bert-mini", {k: v.flatten().float().numpy() for k, v in rows.items()})


def label_source(
    checkpoint: Path, arguments: Mapping[str, object], embeddings: NDArray[np.float32]
) -> Source:
    """The labels' learnt embeddings, under their numbers and, where a map lies there, their names.

    Raises:
        QueryError: the map beside the checkpoint is no JSON object of numbers below the rows'.
    """
    named = {str(number): row for number, row in enumerate(embeddings)}
    found = companion(checkpoint, str(arguments.get("label_map_filename", "label_map.json")))
    if found is None:
        return TableSource(_LABELS, named)
    try:
        if found.stat().st_size > _LARGEST_MAP:
            raise ValueError(f"it is larger than {_LARGEST_MAP} bytes")
        labels = json.loads(found.read_text("utf-8"))
        if not isinstance(labels, dict):
            raise ValueError("it is no JSON object")
        rows = {label: _row(number, len(embeddings)) for label, number in labels.items()}
    except (OSError, ValueError, RecursionError) as error:
        raise QueryError(f"the labels in {found} cannot be read: {error}") from error
    return TableSource(_LABELS, named | {label: embeddings[row] for label, row in rows.items()})


def _row(number: object, rows: int) -> int:
    if type(number) is not int or not 0 <= number < rows:
        raise ValueError(f"a label has the number {number!r}, of {rows}")
    return number
