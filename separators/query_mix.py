"""Several embeddings into one: what a sound is like, and what it is not like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]
Weighted = tuple[float, Embedding]


def mix(positives: Sequence[Weighted], negatives: Sequence[Weighted] = ()) -> Embedding:
    """The weighted mean of the positives, turned away from the negatives.

    Positives are averaged, as CLIPSep averages the frames of a video and the prompts of a word. The
    negatives, each times its weight, are taken off; what is left is given back the length of the
    average, which the gates of a network trained on lengths depend on.

    Args:
        positives: weights above zero, and embeddings ``(size,)``; at least one.
        negatives: the same; a weight of 1 takes off the whole of an embedding.

    Raises:
        ValueError: no positives, a weight that is not above zero, embeddings of several sizes, or
            nothing left.
    """
    rows = [*positives, *negatives]
    if not positives or any(weight <= 0 for weight, _ in rows):
        raise ValueError("a mix takes one positive or more, and weights above zero")
    if len({embedding.shape for _, embedding in rows}) > 1:
        sizes = sorted({embedding.shape[-1] for _, embedding in rows})
        raise ValueError(f"embeddings of {sizes} numbers cannot be mixed")
    total = sum(weight for weight, _ in positives)
    mean = np.zeros(rows[0][1].shape)
    for weight, embedding in positives:
        mean += weight / total * embedding
    left = mean.copy()
    for weight, embedding in negatives:
        left -= weight * embedding
    length = float(np.linalg.norm(left))
    if length <= 1e-6 * float(np.linalg.norm(mean)):
        raise ValueError("the negatives take away all of the positives")
    scaled: Embedding = (left * (np.linalg.norm(mean) / length)).astype(np.float32)
    return scaled
