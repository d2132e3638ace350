"""The losses of CLIPSep, CLIPSep-NIT and PIT: masks against which source is louder, cell by cell.

Dong et al., "CLIPSep" (ICLR 2023), with the weights of the published code. An example is a mixture
of two sources. All magnitudes are over the log-frequency picture, ``(..., rows, frames)``; the
mixture's has the floor added (see ``separators.log_picture``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .bimodal_losses import loudness


def targets(sources: Tensor, mixture: Tensor) -> Tensor:
    """One where a source is louder than half of the mixture, else zero.

    Both sources may be, or neither.

    Args:
        sources: ``(batch, sources, rows, frames)``.
        mixture: ``(batch, rows, frames)``.
    """
    return (sources > 0.5 * mixture[:, None]).to(sources)


def mask_entropy(masks: Tensor, wanted: Tensor, mixture: Tensor) -> Tensor:
    """Cross-entropy weighed by the mixture's loudness, the plain mean over an item's cells.

    Args:
        masks, wanted: ``(batch, ..., rows, frames)`` in [0, 1].
        mixture: ``(batch, rows, frames)``.

    Returns:
        ``(batch, ...)``. A mask of exactly 0 or 1 that should be the other counts 100 a cell.
    """
    weight = loudness(mixture)
    while weight.ndim < masks.ndim:
        weight = weight[:, None]
    entropy = functional.binary_cross_entropy(masks, wanted, reduction="none")
    return (weight * entropy).mean((-2, -1))


def clipsep_loss(logits: Tensor, sources: Tensor, mixture: Tensor) -> Tensor:
    """Each query's mask against its own source.

    Args:
        logits: ``(batch, queries, rows, frames)``, one query a source, in their order.
        sources, mixture: as in :func:`targets`.

    Returns:
        A scalar.
    """
    return mask_entropy(torch.sigmoid(logits), targets(sources, mixture), mixture).mean()


def pit_loss(logits: Tensor, sources: Tensor, mixture: Tensor) -> Tensor:
    """Two masks that nobody asked for, against the two sources in the order that fits better.

    Args:
        logits: ``(batch, 2, rows, frames)``.
        sources, mixture: as in :func:`targets`, of two sources.

    Returns:
        A scalar.
    """
    masks, wanted = torch.sigmoid(logits), targets(sources, mixture)
    straight = mask_entropy(masks, wanted, mixture).mean(-1)
    crossed = mask_entropy(masks, wanted.flip(1), mixture).mean(-1)
    return torch.minimum(straight, crossed).mean()


def nit_loss(
    logits: Tensor,
    noise: Tensor,
    sources: Tensor,
    mixture: Tensor,
    *,
    idle_weight: float = 0.1,
    idle_share: float = 0.25,
    margin_weight: float = 0.0,
    margin: float = 0.1,
) -> Tensor:
    """Noise invariant training: what a query's mask misses, a noise mask may add.

    Each query is paired with one of two noise masks, in the order that fits better; the sum of the
    two, at most 1, is held against the query's source. Where it is 1 it teaches nothing, and where
    it should be 0 there it costs 100 a cell: the value says little about the query's own mask.

    Args:
        logits: ``(batch, 2, rows, frames)``, of the queries, in their sources' order.
        noise: ``(batch, 2, rows, frames)``, of the noise heads.
        sources, mixture: as in :func:`targets`, of two sources.
        idle_weight, idle_share: the noise masks together may cover this share of the picture on
            average; what they cover beyond that counts with this weight.
        margin_weight, margin: a pair must be better by the margin than its noise mask alone; what
            it lacks counts with this weight.

    Returns:
        A scalar.
    """
    masks, extra, wanted = torch.sigmoid(logits), torch.sigmoid(noise), targets(sources, mixture)
    orders = []
    for heads in (extra, extra.flip(1)):
        entropy = mask_entropy(1 - functional.relu(1 - masks - heads), wanted, mixture)
        lack = functional.relu(entropy - mask_entropy(heads, wanted, mixture) + margin)
        orders.append((entropy + margin_weight * lack).mean(-1))
    idle = functional.relu(extra.sum(1).mean() - idle_share)
    return torch.minimum(*orders).mean() + idle_weight * idle
