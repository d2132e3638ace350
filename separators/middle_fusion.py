"""CLIPSep with middle fusion: the query's gates join the innermost maps of the U-Net.

The variant ``CLIPSepV3`` of the published code. The way down hears the mixture alone and runs once;
the way up runs once for each query and ends in the mask's logit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .clipsep import CLIP_SIZE
from .late_fusion import InnerProduct
from .log_picture import Geometry, LogPicture
from .unet import UNet


class MiddleFusion(nn.Module):
    """The network: ``forward(spectrogram, conditioning) -> masks``.

    ``synth_net`` and the norms on the way down of the first and the last level are stored in
    checkpoints and used by nothing.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.sound_net = UNet(1, 1, geometry.levels, extra=geometry.maps, named=True)
        self.frame_net = nn.Linear(CLIP_SIZE, geometry.maps)
        self.synth_net = InnerProduct(geometry.maps)
        self.picture = LogPicture(geometry)

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns query embeddings ``(..., 512)`` into gates ``(..., maps)``."""
        return torch.sigmoid(self.frame_net(embedding))

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`.late_fusion.LateFusion.forward`; ``conditioning`` is ``(queries, maps)``."""
        halved = self.sound_net.encode(self.picture(spectrogram))
        batch, queries = len(spectrogram), len(conditioning)
        # queries of one mixture lie next to each other
        asked = [maps.repeat_interleave(queries, dim=0) for maps in halved]
        logits = self.sound_net.decode(asked, conditioning.repeat(batch, 1))
        masks: Tensor = self.picture.masks(logits.unflatten(0, (batch, queries))[:, :, 0])
        return masks
