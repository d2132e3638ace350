"""What CLIPSep and its relatives see and say: log magnitudes, and masks, over log frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .spectrogram import Spectrogram, magnitude
from .unet import BASE
from .warp import LogFrequency

FLOOR = 1e-10
"""What is added to a magnitude before its logarithm."""


CLIPSEP_FRONT = Spectrogram(16_000, 1024, 256, 65_535, "zeros")


@dataclass(frozen=True)
class Geometry:
    """Sizes of a separator of the family; everything else about it follows.

    Attributes:
        front: its STFT.
        rows: log-spaced rows of the picture.
        maps: number of feature maps, and of a query's gates.
        levels: how often the U-Net halves the picture.
        base: channels of the U-Net's outermost level.
    """

    front: Spectrogram = CLIPSEP_FRONT
    rows: int = 256
    maps: int = 32
    levels: int = 7
    base: int = BASE


class LogPicture(nn.Module):
    """Spectrogram to picture, and logits over the picture to masks over the spectrogram."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        warp = LogFrequency(geometry.front.bins, geometry.rows)
        self.to_rows = warp.to_rows()
        self.to_bins = warp.to_bins()

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Turns ``(batch, bins, frames, 2)`` into log magnitudes ``(batch, 1, rows, frames)``."""
        return self.log(self.to_rows(magnitude(spectrogram)))[:, None]

    @staticmethod
    def log(rows: Tensor) -> Tensor:
        """Natural logarithm of magnitudes above the floor."""
        # ln(x + floor); an exporter takes an addition of 1e-10 for none and drops it
        return torch.log(rows * (1 / FLOOR) + 1) + math.log(FLOOR)

    def masks(self, logits: Tensor) -> Tensor:
        """Turns logits ``(batch, queries, rows, frames)`` into masks over the spectrogram.

        Returns:
            ``(batch, queries, bins, frames, 1)`` in [0, 1], one real number a cell.
        """
        masks: Tensor = self.to_bins(torch.sigmoid(logits))
        return masks[..., None]
