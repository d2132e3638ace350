"""Random masks over time and frequency: what a separator may leave of a sound."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..separators.bimodal import BIMODAL_FRONT

_COARSEST, _FINEST = 3, 100  # cells in frequency
_GAIN = 3.0  # of the logits: from nearly nothing to nearly all


def behind_masks(sounds: Tensor) -> Tensor:
    """Sounds ``(batch, sources, samples)``, those of an example behind the same random mask."""
    spectra = BIMODAL_FRONT.analyse(sounds)
    bins, frames = spectra.shape[-2:]
    masks = random_masks(len(sounds), bins, frames, _FINEST, sounds.device)
    return BIMODAL_FRONT.synthesise(spectra * masks[:, None], sounds.shape[-1])


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
