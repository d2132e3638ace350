"""LabelSep: CLIPSep asked by the number of a label, whose embedding is learnt with the rest."""

from __future__ import annotations

from torch import nn

from .clipsep import CLIP_SIZE
from .late_fusion import QueriedLateFusion
from .log_picture import Geometry


class LabelSep(QueriedLateFusion):
    """The network; see :class:`~.late_fusion.LateFusion` for its signature.

    Args:
        geometry: its sizes.
        labels: number of labels; ``label_net.weight`` holds the embedding of each in a row.
    """

    def __init__(self, geometry: Geometry, labels: int) -> None:
        super().__init__(geometry, CLIP_SIZE)
        self.label_net = nn.Embedding(labels, CLIP_SIZE)
