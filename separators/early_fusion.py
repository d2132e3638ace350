"""CLIPSep with early fusion: the query's gates stand beside the picture as further channels.

The variant ``CLIPSepV2`` of the published code, which cannot run there: its pooling layer takes the
embeddings of several video frames, and is given their mean. Here the gates are those of one
embedding, the greatest of a single value. The whole U-Net runs once for each query.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ascent import WholeAscent
from .clipsep import CLIP_SIZE
from .columns import Span
from .log_picture import Geometry, LogPicture
from .unet import UNet


class EarlyFusion(nn.Module):
    """The network: ``forward(spectrogram, conditioning) -> masks``."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.sound_net = UNet(1 + geometry.maps, 1, geometry.levels, base=geometry.base)
        self.frame_net = nn.ModuleDict({"fc": nn.Linear(CLIP_SIZE, geometry.maps)})
        self.picture = LogPicture(geometry)

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns query embeddings ``(..., 512)`` into gates ``(..., maps)``."""
        return torch.sigmoid(self.frame_net["fc"](embedding))

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`.late_fusion.LateFusion.forward`; ``conditioning`` is ``(queries, maps)``."""
        logits: Tensor = self.sound_net(self.fuse(self.picture(spectrogram), conditioning))
        logits = logits.unflatten(0, (-1, conditioning.shape[0]))
        masks: Tensor = self.picture.masks(logits[:, :, 0])
        return masks

    def live(self, want: Span) -> EarlyFusionLive:
        """The same network for live play; see :class:`EarlyFusionLive`."""
        return EarlyFusionLive(self, want)

    @staticmethod
    def fuse(picture: Tensor, conditioning: Tensor) -> Tensor:
        """Joins ``(batch, 1, rows, frames)`` with each query: ``(batch * queries, 1 + maps, ...)``.

        Queries of one picture lie next to each other.
        """
        batch, _, rows, frames = picture.shape
        queries = conditioning.shape[0]
        gates = conditioning[None, :, :, None, None].expand(batch, -1, -1, rows, frames)
        pictures = picture[:, None].expand(-1, queries, -1, -1, -1)
        return torch.cat([pictures, gates], dim=2).flatten(0, 1)


class EarlyFusionLive(nn.Module):
    """The network for a few frames of a clip.

    Args:
        network: in evaluation mode; shares its way down.
        want: frames to make masks for, of those of a clip.
    """

    def __init__(self, network: EarlyFusion, want: Span) -> None:
        super().__init__()
        self.sound_net, self.picture = network.sound_net, network.picture
        self.ascent = WholeAscent(network.sound_net, network.geometry.rows, want)

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`EarlyFusion.forward`, for the wanted frames."""
        joined = EarlyFusion.fuse(self.picture(spectrogram), conditioning)
        logits = self.ascent(self.sound_net.encode(joined))
        logits = logits.unflatten(0, (-1, conditioning.shape[0]))
        masks: Tensor = self.picture.masks(logits[:, :, 0])
        return masks
