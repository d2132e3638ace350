"""Linear to logarithmic frequency and back, as two fixed matrices with two numbers a row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LogFrequency:
    """Log-spaced rows read off linear bins, by linear interpolation.

    Row ``i`` of ``rows`` lies at bin ``p(i) = (last / (base - 1)) (base**(i / (rows - 1)) - 1)``,
    ``last = bins - 1``, so that both ends stay where they are. There is no smoothing: where rows
    are further apart than bins, most bins are not read. Source: the warp of "The Sound of Pixels"
    (Zhao et al. 2018), there done by ``grid_sample``; see ``docs/published-separators.md`` for
    what that differs by.
    """

    bins: int = 513
    rows: int = 256
    base: float = 21.0

    def to_rows(self) -> Interpolation:
        """Reads rows off bins."""
        steps = torch.arange(self.rows, dtype=torch.float64) / (self.rows - 1)
        places = (self.base**steps - 1) * ((self.bins - 1) / (self.base - 1))
        return Interpolation(places, self.bins)

    def to_bins(self) -> Interpolation:
        """Reads bins off rows, at the inverse function's places; it does not undo the other."""
        bins = torch.arange(self.bins, dtype=torch.float64) / (self.bins - 1)
        places = torch.log1p(bins * (self.base - 1)) / math.log(self.base)
        return Interpolation(places * (self.rows - 1), self.rows)


class Interpolation(nn.Module):
    """A sparse matrix along frequency: each of its rows weighs two neighbours.

    Args:
        places: ``(n,)`` float64, where to read, in ``[0, size - 1]``.
        size: length of the axis that is read.
    """

    below: Tensor
    share: Tensor

    def __init__(self, places: Tensor, size: int) -> None:
        super().__init__()
        below = places.floor().clamp(max=size - 2)
        self.register_buffer("below", below.long(), persistent=False)
        self.register_buffer("share", (places - below).float()[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Reads ``(..., size, frames)`` into ``(..., n, frames)``."""
        low, high = x.index_select(-2, self.below), x.index_select(-2, self.below + 1)
        return low + self.share * (high - low)
