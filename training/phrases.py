"""Sentence embeddings of the phrases that name the training sounds."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ..separators.encoders import MINILM, load_encoder


def embed(phrases: Collection[str]) -> dict[str, NDArray[np.float32]]:
    """Returns the unit-length embedding of every phrase, ``(384,)`` float32 each."""
    ordered = sorted(phrases)
    return dict(zip(ordered, load_encoder(MINILM).encode(ordered), strict=True))
