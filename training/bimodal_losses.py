"""The losses of the bi-modal separator: mixtures with captions are enough to train it.

Mahmud et al., "Weakly-supervised Audio Separation via Bi-modal Semantic Similarity" (ICLR 2024,
arXiv 2404.01740), with the weights of the published code. A training example is a mixture ``X`` of
N captioned mixtures ``S_n``; a caption names several sounds. All are magnitudes; M(c) is the mask
for words c. A mean is over the batch and all cells, a sum over the N mixtures.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CONTRASTIVE_WEIGHT = 0.5
RECONSTRUCTION_WEIGHT = 5.0


def loudness(magnitude: Tensor) -> Tensor:
    """What a cell counts: ``ln(1 + magnitude)``, no less than 0.001 and no more than 10."""
    return torch.log1p(magnitude).clamp(1e-3, 10.0)


def reconstruction(masks: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """Mix and separate: the mask for a caption makes that caption's mixture of the whole.

    Args:
        masks: ``(batch, N, bins, frames)``, M(caption of n).
        mixture: ``(batch, bins, frames)``, X.
        targets: ``(batch, N, bins, frames)``, S_n.

    Returns:
        ``sum_n mean(loudness(X) |M X - S_n|)``, a scalar.
    """
    error = (masks * mixture[:, None] - targets).abs()
    return (loudness(mixture)[:, None] * error).mean(dim=(0, 2, 3)).sum()


def consistency(masks: Tensor, shares: Tensor, mixture: Tensor, targets: Tensor) -> Tensor:
    """The sounds that a caption names add up to that caption's mixture.

    Args:
        masks: ``(batch, N, K, bins, frames)``, M(phrase k of caption n).
        shares: ``(batch, N, K)``: 1, or 1 over how often a phrase was repeated to make up K.
        mixture, targets: as in :func:`reconstruction`.

    Returns:
        ``sum_n mean(loudness(S_n) |sum_k share M X - S_n|)``, a scalar.
    """
    together = (shares[..., None, None] * masks).sum(2) * mixture[:, None]
    error = (together - targets).abs()
    return (loudness(targets) * error).mean(dim=(0, 2, 3)).sum()


def contrastive(sounds: Tensor, phrases: Tensor, log_scale: Tensor) -> Tensor:
    """Each separated sound is closer, in CLAP's space, to its own phrase than to the others.

    From sounds to phrases only; the same phrase twice in a batch counts as a wrong one.

    Args:
        sounds: ``(batch, N, K, size)``, CLAP's embeddings of the separated sounds, of length 1.
        phrases: ``(batch, N, K, size)``, CLAP's embeddings of what they were asked for by.
        log_scale: scalar, CLAP's ``logit_scale_a``.

    Returns:
        Cross entropy over the phrases of the batch, a mean over sounds, summed over N.
    """
    own = sounds.movedim(1, 0).flatten(1, 2)  # (N, batch * K, size)
    others = phrases.movedim(1, 0).flatten(1, 2)
    logits = log_scale.exp() * own @ others.transpose(1, 2)
    target = torch.arange(logits.shape[-1], device=logits.device).expand(len(logits), -1)
    mean = functional.cross_entropy(logits.flatten(0, 1), target.flatten())
    return mean * len(logits)


def by_share(sounds: Tensor, phrases: Tensor, shares: Tensor, log_scale: Tensor) -> Tensor:
    """A mixture is as close to each phrase, in a joint space, as that phrase's sound is loud in it.

    Between-class learning (Tokozume et al., ICLR 2018) with words for classes, for the training of
    a joint model: what of a mixture a separator should leave then shows in the gradient.

    Args:
        sounds: ``(batch, size)``, embeddings of mixtures, of length 1.
        phrases: ``(phrases, size)``, of length 1, no two of the same text.
        shares: ``(batch, phrases)``, of a mixture's energy, which add up to 1.
        log_scale: scalar.

    Returns:
        Cross entropy over the phrases, a mean over the batch.
    """
    return functional.cross_entropy(log_scale.exp() * sounds @ phrases.T, shares)


def total(reconstruction: Tensor, consistency: Tensor, contrastive: Tensor) -> Tensor:
    """The three in the proportions of the published training."""
    recovered = reconstruction + consistency
    return CONTRASTIVE_WEIGHT * contrastive + RECONSTRUCTION_WEIGHT * recovered
