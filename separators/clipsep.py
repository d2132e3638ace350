"""CLIPSep and CLIPSep-NIT: sounds asked for by what CLIP knows of their pictures and their names.

Dong et al., "CLIPSep: Learning Text-queried Sound Separation with Noisy Unlabeled Videos" (ICLR
2023). A query is the embedding of a picture or of a text by CLIP ViT-B/32, at its own length: the
gates depend on that. CLIPSep-Text and CLIPSep-Hybrid are this network, trained on texts or on texts
and pictures in turn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .late_fusion import QueriedLateFusion
from .log_picture import Geometry

CLIP_SIZE = 512
"""Length of an embedding of CLIP ViT-B/32."""
NOISE_HEADS = 2


class CLIPSep(QueriedLateFusion):
    """The network; see :class:`~.late_fusion.LateFusion` for its signature."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry, CLIP_SIZE)


class CLIPSepNIT(CLIPSep):
    """CLIPSep with noise heads, which take up what no query explains while it is trained.

    At use they are not needed; :meth:`condition_noise` is for training and for the curious.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.pit_nets = nn.ModuleList(
            nn.Linear(geometry.maps, geometry.maps) for _ in range(NOISE_HEADS)
        )

    def condition_noise(self, embedding: Tensor) -> Tensor:
        """Conditioning of the noise masks of a mixture.

        Args:
            embedding: ``(..., queries, 512)``, all queries of the mixture.

        Returns:
            ``(..., 2, maps + 1)``.
        """
        mean = self.frame_net(embedding).mean(-2)
        gates = torch.stack([torch.sigmoid(head(mean)) for head in self.pit_nets], dim=-2)
        return self.synth_net.condition(gates)
