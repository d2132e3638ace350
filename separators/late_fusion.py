"""Late fusion: the query weighs the sound's feature maps, and their sum is the mask's logit.

The U-Net hears the mixture and never the query. A query becomes one vector, its conditioning: a
weight for each map, and a bias. More queries cost next to nothing, and words can change at once.
Source: Dong et al., "CLIPSep" (ICLR 2023), after the synthesizer of "The Sound of Pixels".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ascent import Ascent
from .columns import Span
from .doubling import Spread, fold, taps
from .log_picture import Geometry, LogPicture
from .unet import UNet


class LateFusion(nn.Module):
    """The part that hears: ``forward(spectrogram, conditioning) -> masks``, the exported graph.

    Args:
        geometry: its sizes.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.sound_net = UNet(1, geometry.maps, geometry.levels, base=geometry.base)
        self.picture = LogPicture(geometry)

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """Separates clips.

        Args:
            spectrogram: ``(batch, bins, frames, 2)`` float32; frames are a multiple of
                ``2**levels``.
            conditioning: ``(queries, maps + 1)`` float32.

        Returns:
            Masks ``(batch, queries, bins, frames, 1)`` in [0, 1].
        """
        maps = self.sound_net(self.picture(spectrogram))
        masks: Tensor = self.picture.masks(read_out(maps, conditioning))
        return masks

    def live(self, want: Span) -> LateFusionLive:
        """The same network for live play; see :class:`LateFusionLive`."""
        return LateFusionLive(self, want)


class LateFusionLive(nn.Module):
    """A late-fusion network for a few frames of a clip, its read-out folded into a convolution.

    Nothing lies between the last convolution and the weighted sum of its maps. So a query's weights
    make one kernel of the kernels of all maps, and a query costs one map instead of their number.

    Args:
        network: in evaluation mode; shares its way down.
        want: frames to make masks for, of those of a clip.
    """

    taps: Tensor
    tap_bias: Tensor

    def __init__(self, network: LateFusion, want: Span) -> None:
        super().__init__()
        self.sound_net, self.picture = network.sound_net, network.picture
        rows = network.geometry.rows
        self.ascent = Ascent(network.sound_net, rows, want)
        last = network.sound_net.unet_block.part("upconv")
        assert isinstance(last, nn.Conv2d)
        kernel, bias = fold(last, None)
        self.register_buffer("taps", taps(kernel).flatten(1).contiguous())
        self.register_buffer("tap_bias", bias[:, None].contiguous())
        self.spread = Spread(rows // 2, want)

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`LateFusion.forward`, for the wanted frames."""
        maps = self.ascent(self.sound_net.encode(self.picture(spectrogram)))
        weights, bias = conditioning[:, :-1], conditioning[:, -1:]
        kernels = (weights @ self.taps).reshape(-1, maps.shape[1])
        mixed = (kernels @ maps.flatten(2)).unflatten(2, maps.shape[2:])
        logits = self.spread(mixed) + (weights @ self.tap_bias + bias)[..., None]
        masks: Tensor = self.picture.masks(logits)
        return masks


class QueriedLateFusion(LateFusion):
    """Late fusion with gates that a linear layer makes of a query's embedding.

    Args:
        geometry: its sizes.
        embedding: length of a query's embedding.
    """

    def __init__(self, geometry: Geometry, embedding: int) -> None:
        super().__init__(geometry)
        self.frame_net = nn.Linear(embedding, geometry.maps)
        self.synth_net = InnerProduct(geometry.maps)

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns query embeddings ``(..., embedding)`` into conditioning ``(..., maps + 1)``."""
        return self.synth_net.condition(torch.sigmoid(self.frame_net(embedding)))


class InnerProduct(nn.Module):
    """The read-out: ``logit = sum of gate * scale * map, plus a bias``, over the maps.

    Args:
        maps: number of feature maps.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(maps))
        self.bias = nn.Parameter(torch.zeros(1))

    def condition(self, gates: Tensor) -> Tensor:
        """Turns gates ``(..., maps)`` into conditioning ``(..., maps + 1)``, the bias last."""
        return torch.cat([gates * self.scale, self.bias.expand(*gates.shape[:-1], 1)], dim=-1)


def read_out(maps: Tensor, conditioning: Tensor) -> Tensor:
    """Logits of every query.

    Args:
        maps: ``(batch, maps, rows, frames)``.
        conditioning: ``(queries, maps + 1)``, or ``(batch, queries, maps + 1)`` where every member
            of the batch has queries of its own.

    Returns:
        ``(batch, queries, rows, frames)``.
    """
    weights, bias = conditioning[..., :-1], conditioning[..., -1:]
    logits: Tensor = weights @ maps.flatten(2) + bias
    return logits.reshape(*logits.shape[:2], *maps.shape[-2:])
