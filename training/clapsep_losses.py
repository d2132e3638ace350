"""The loss of CLAPSep: how far the sound is from what was asked for, mostly with its level.

Ma et al. 2024, with the weights of the published code.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SCALED, _FREE = 0.9, 0.1
"""Weights of the two ratios: with the level, and whatever it is."""
_TINY = torch.finfo(torch.float32).eps


def snr(estimate: Tensor, target: Tensor) -> Tensor:
    """Signal-to-noise ratio in dB, ``(..., samples)`` float32 to ``(...)``; means are left in."""
    return _ratio(target, target - estimate)


def si_snr(estimate: Tensor, target: Tensor) -> Tensor:
    """The same without means, of the target at the level that fits the estimate best."""
    estimate = estimate - estimate.mean(-1, keepdim=True)
    target = target - target.mean(-1, keepdim=True)
    product = (estimate * target).sum(-1, keepdim=True)
    scaled = (product + _TINY) / (target.square().sum(-1, keepdim=True) + _TINY) * target
    return _ratio(scaled, scaled - estimate)


def clapsep_loss(estimate: Tensor, target: Tensor) -> Tensor:
    """Nine parts of SNR and one of SI-SNR, negative: a scalar, the mean over ``(..., samples)``.

    Of a silent target SNR says how loud the estimate is.
    """
    return -(_SCALED * snr(estimate, target) + _FREE * si_snr(estimate, target)).mean()


def _ratio(signal: Tensor, noise: Tensor) -> Tensor:
    powers = (part.square().sum(-1) + _TINY for part in (signal, noise))
    above, below = powers
    return 10 * torch.log10(above / below)
