"""BERTSep: CLIPSep asked by the words alone, as BERT-mini embeds them.

The baseline of the CLIPSep paper, after LASS-Net. The published code reads the embeddings of its
labels from a file and does not say how they were pooled.
"""

from __future__ import annotations

from .late_fusion import QueriedLateFusion
from .log_picture import Geometry

BERT_MINI_SIZE = 256
"""Width of BERT-mini."""


class BERTSep(QueriedLateFusion):
    """The network; see :class:`~.late_fusion.LateFusion` for its signature."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry, BERT_MINI_SIZE)
