"""CLIPSep with middle fusion: the query's gates join the innermost maps of the U-Net.

The variant ``CLIPSepV3`` of the published code. The way down hears the mixture alone and runs once;
the way up runs once for each query and ends in the mask's logit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ascent import WholeAscent
from .clipsep import CLIP_SIZE
from .columns import Span
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
        self.sound_net = UNet(
            1, 1, geometry.levels, base=geometry.base, extra=geometry.maps, named=True
        )
        self.frame_net = nn.Linear(CLIP_SIZE, geometry.maps)
        self.synth_net = InnerProduct(geometry.maps)
        self.picture = LogPicture(geometry)

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns query embeddings ``(..., 512)`` into gates ``(..., maps)``."""
        return torch.sigmoid(self.frame_net(embedding))

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`.late_fusion.LateFusion.forward`; ``conditioning`` is ``(queries, maps)``."""
        halved = self.sound_net.encode(self.picture(spectrogram))
        logits = self.sound_net.decode(*_for_each(halved, conditioning))
        logits = logits.unflatten(0, (-1, conditioning.shape[0]))
        masks: Tensor = self.picture.masks(logits[:, :, 0])
        return masks

    def live(self, want: Span) -> MiddleFusionLive:
        """The same network for live play; see :class:`MiddleFusionLive`."""
        return MiddleFusionLive(self, want)


class MiddleFusionLive(nn.Module):
    """The network for a few frames of a clip.

    Args:
        network: in evaluation mode; shares its way down.
        want: frames to make masks for, of those of a clip.
    """

    def __init__(self, network: MiddleFusion, want: Span) -> None:
        super().__init__()
        self.sound_net, self.picture = network.sound_net, network.picture
        self.ascent = WholeAscent(network.sound_net, network.geometry.rows, want)

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`MiddleFusion.forward`, for the wanted frames."""
        halved = self.sound_net.encode(self.picture(spectrogram))
        logits = self.ascent(*_for_each(halved, conditioning))
        logits = logits.unflatten(0, (-1, conditioning.shape[0]))
        masks: Tensor = self.picture.masks(logits[:, :, 0])
        return masks


def _for_each(halved: list[Tensor], conditioning: Tensor) -> tuple[list[Tensor], Tensor]:
    """Repeats the maps for each query; queries of one mixture lie next to each other."""
    queries, batch = conditioning.shape[0], halved[0].shape[0]
    repeated = [maps[:, None].expand(-1, queries, -1, -1, -1).flatten(0, 1) for maps in halved]
    return repeated, conditioning[None].expand(batch, -1, -1).flatten(0, 1)
