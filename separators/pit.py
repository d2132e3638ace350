"""PIT: two sources that nobody asked for, told apart by permutation invariant training.

The query-free baseline of the CLIPSep paper: its read-out weighs the maps of the same U-Net by
fixed numbers, which is late fusion with two queries that never change.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .late_fusion import LateFusion
from .log_picture import Geometry

SOURCES = 2


class PIT(LateFusion):
    """The network; its conditioning is always :attr:`sources`."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.synth_net = nn.Conv2d(geometry.maps, SOURCES, 1)

    @property
    def sources(self) -> Tensor:
        """The conditioning of both sources, ``(2, maps + 1)``."""
        assert self.synth_net.bias is not None
        return torch.cat([self.synth_net.weight.flatten(1), self.synth_net.bias[:, None]], dim=1)
