"""Masks over time and frequency: what a separator may leave of a sound."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..separators.bimodal import BIMODAL_FRONT

_COARSEST, _FINEST = 3, 100  # cells in frequency
_GAIN = 3.0  # of the logits: from nearly nothing to nearly all
_LONGEST = 2.0  # of a logit, led by a gradient
_LEAST = 0.02  # of a mask that is led

Dislike = Callable[[Tensor], Tensor]
"""Of masked mixtures ``(batch, samples)``: a scalar that falls where they please a model more."""


def behind_masks(sounds: Tensor, dislike: Dislike | None = None) -> Tensor:
    """Sounds ``(batch, sources, samples)``, those of an example behind the same random mask.

    With ``dislike`` the masks are led: see :func:`led_masks`.
    """
    spectra = BIMODAL_FRONT.analyse(sounds)
    bins, frames = spectra.shape[-2:]
    masks = random_masks(len(sounds), bins, frames, _FINEST, sounds.device)
    if dislike is not None:
        masks = led_masks(masks, spectra.sum(1), dislike, sounds.shape[-1])
    return BIMODAL_FRONT.synthesise(spectra * masks[:, None], sounds.shape[-1])


def led_masks(masks: Tensor, mixtures: Tensor, dislike: Dislike, samples: int) -> Tensor:
    """Masks after a step of random length that pleases a model more, as a separator's would.

    In half of the calls from masks of a half everywhere instead. A model that learns behind such
    masks is not pleased by what separates nothing, and its gradient points at what is there:
    adversarial training by signs (Goodfellow et al., ICLR 2015; Tsipras et al., ICLR 2019).

    Args:
        masks: ``(batch, bins, frames)``, 0 to 1.
        mixtures: their spectra, complex.
        dislike: what the step lessens.
        samples: of a mixture.
    """
    logits = torch.logit(masks, eps=_LEAST)
    if float(torch.rand(())) < 0.5:
        logits = torch.zeros_like(logits)
    logits.requires_grad_(True)
    masked = BIMODAL_FRONT.synthesise(torch.sigmoid(logits) * mixtures, samples)
    (slope,) = torch.autograd.grad(dislike(masked), logits)
    length = _LONGEST * float(torch.rand(()))
    return torch.sigmoid(logits.detach() - length * slope.sign())


def random_masks(count: int, bins: int, frames: int, finest: int, device: torch.device) -> Tensor:
    """Masks of one grain, drawn between 3 and ``finest`` cells in frequency, half as many in time.

    Returns:
        ``(count, bins, frames)`` float32, 0 to 1.
    """
    grain = _COARSEST * (finest / _COARSEST) ** float(torch.rand(()))
    cells = (max(2, math.floor(grain)), max(2, math.floor(grain / 2)))
    logits = _GAIN * torch.randn(count, 1, *cells, device=device)
    smooth = functional.interpolate(logits, (bins, frames), mode="bilinear")
    return torch.sigmoid(smooth)[:, 0]
