"""What `-q` and `--not` ask of a model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.queries import are_baked, conditioning_for
from ..separators.encoders import load_encoder


class Asked(NamedTuple):
    """Words, one stem each, and the conditioning [words + negatives, D]; None: as baked in."""

    words: list[str]
    conditioning: NDArray[np.float32] | None
    negatives: int


def asked_of(bundle: Bundle, query: list[str] | None, unwanted: list[str] | None) -> Asked:
    """The words of a command line; without any, those that the model was made for.

    Raises `QueryError` for words that cannot be used.
    """
    words = query or [baked.name for baked in bundle.spec.queries]
    if not unwanted and are_baked(bundle, words):
        return Asked(words, None, 0)
    conditioning = conditioning_for(bundle, words, unwanted or (), load=load_encoder)
    return Asked(words, conditioning, len(unwanted or ()))
