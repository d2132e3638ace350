"""Sentence embeddings of the phrases that name the training sounds."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ..runtime.queries import open_encoder
from ..separators.encoders import load_encoder

ENCODER = "all-MiniLM-L6-v2"
"""Sentence embeddings, the encoder that ships: what ``solo`` is trained on."""


def embed(phrases: Collection[str], encoder: str) -> dict[str, NDArray[np.float32]]:
    """Returns the unit-length embedding of every phrase, float32, by the encoder of that name."""
    ordered = sorted(phrases)
    return dict(zip(ordered, open_encoder(encoder, load_encoder).encode(ordered), strict=True))
