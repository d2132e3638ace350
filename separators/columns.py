"""Layers that compute a few columns of a map exactly as they would be in the whole map.

In live play a window's mask is wanted for its newest frames only. Convolutions and interpolation
reach a column or two to either side, so the way up of a U-Net can be computed for the columns that
reach those frames and for no others; the result is that of the whole map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Span:
    """Columns ``start`` to ``stop`` (exclusive) of a map that is ``width`` columns wide."""

    start: int
    stop: int
    width: int

    @classmethod
    def whole(cls, width: int) -> Span:
        """All columns of a map."""
        return cls(0, width, width)

    @property
    def is_whole(self) -> bool:
        return self.stop - self.start == self.width

    def reach(self) -> Span:
        """The columns a 3x3 convolution reads for these."""
        return Span(max(self.start - 1, 0), min(self.stop + 1, self.width), self.width)

    def coarse(self) -> Span:
        """The columns that :func:`upsample` reads, in the map of half the width, for these."""
        width = self.width // 2
        first = self.start * (width - 1) // (self.width - 1)
        last = -(-(self.stop - 1) * (width - 1) // (self.width - 1))
        return Span(first, last + 1, width)

    def of(self, x: Tensor, have: Span) -> Tensor:
        """Cuts these columns out of ``x``, whose last axis holds the columns ``have``."""
        return x[..., self.start - have.start : self.stop - have.start]


class Cropped(nn.Module):
    """A network for some frames of a window, as live play wants them.

    Args:
        network: ``forward(spectrogram, conditioning, want) -> masks``.
        want: those frames.
    """

    def __init__(self, network: nn.Module, want: Span) -> None:
        super().__init__()
        self.network, self.want = network, want

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """Masks for the wanted frames."""
        masks: Tensor = self.network(spectrogram, conditioning, self.want)
        return masks


def convolve(conv: nn.Conv2d, x: Tensor, want: Span) -> Tensor:
    """A 3x3 convolution, zero-padded at the borders of the whole map only.

    Args:
        conv: kernel 3x3, padding 1.
        x: ``(batch, channels, rows, columns)``, columns ``want.reach()``.
        want: the columns to make.
    """
    return functional.conv2d(pad(x, want), conv.weight, conv.bias, padding=(1, 0))


def pad(x: Tensor, want: Span) -> Tensor:
    """Columns ``want.reach()`` with the zero columns added that lie beyond the map's borders."""
    return functional.pad(x, (int(want.start == 0), int(want.stop == want.width)))


def upsample(x: Tensor, want: Span) -> Tensor:
    """Bilinear interpolation to twice the rows and columns, corners aligned.

    Args:
        x: ``(batch, channels, rows, columns)``, columns ``want.coarse()``.
        want: the columns to make, of a map of twice the width.
    """
    rows = 2 * x.shape[2]
    if want.is_whole:
        size = (rows, want.width)
        return functional.interpolate(x, size, mode="bilinear", align_corners=True)
    x = x @ _between(want).to(x)
    return functional.interpolate(x, (rows, x.shape[3]), mode="bilinear", align_corners=True)


def _between(want: Span) -> Tensor:
    """Weights ``(coarse columns, columns)`` of linear interpolation, at most two to a column."""
    have = want.coarse()
    weights = torch.zeros(have.stop - have.start, want.stop - want.start)
    for column in range(want.start, want.stop):
        place, part = divmod(column * (have.width - 1), want.width - 1)
        weights[place - have.start, column - want.start] = 1 - part / (want.width - 1)
        if part:
            weights[place + 1 - have.start, column - want.start] = part / (want.width - 1)
    return weights
