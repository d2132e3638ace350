"""The bi-modal separator for live play: a few frames of a clip, in the fewest products, exactly.

Attention hears the whole clip, so the way down is computed whole. The way up, nine tenths of the
work, is convolutions: it is computed for the columns that reach the wanted frames, and where a
convolution follows the doubling of a map, its channels are mixed before the map is doubled.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bimodal import BiModal
from .bimodal_unet import SLOPE, CondAttUNet, Level, for_each
from .columns import Span, convolve, upsample
from .doubling import Doubling


class BiModalLive(nn.Module):
    """The network for a few frames; ``forward(spectrogram, conditioning) -> masks``.

    Args:
        network: in evaluation mode; shares its way down.
        want: frames to make masks for, of those of a clip.
    """

    def __init__(self, network: BiModal, want: Span) -> None:
        super().__init__()
        self.network = network
        self.want = want
        self.ascent = Ascent(network.net_sound, network.config.front.bins, want)

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """As :meth:`.bimodal.BiModal.forward`, for the wanted frames."""
        return self.network.masks(spectrogram, conditioning, self.ascent, self.want)


class Ascent(nn.Module):
    """:meth:`.bimodal_unet.CondAttUNet.ascend` for columns ``want.reach()``.

    Args:
        unet: the network.
        rows: of its input.
        want: columns that the outermost convolution is to make.
    """

    def __init__(self, unet: CondAttUNet, rows: int, want: Span) -> None:
        super().__init__()
        levels = list(unet.levels())
        self.spans = [want]  # of what each level hands upwards
        rises = []
        for depth, level in enumerate(levels):
            rises.append(Rise(level, rows >> (depth + 1), self.spans[-1].reach()))
            self.spans.append(self.spans[-1].reach().reach().coarse())
        self.rises = nn.ModuleList(rises)
        self.unet = unet

    def forward(self, maps: Sequence[Tensor], queries: int) -> Tensor:
        x = self.spans[-1].of(maps[-1], Span.whole(maps[-1].shape[-1]))
        levels = list(self.unet.levels())
        for n in range(len(levels) - 1, 0, -1):
            span = self.spans[n]
            x = convolve(levels[n].upconv, self.rises[n](x), span)
            beside = span.of(maps[n - 1], Span.whole(span.width))
            if not levels[n - 1].attends:
                beside = for_each(beside, queries)
            x = torch.cat([beside, functional.relu(levels[n].upnorm(x))], dim=1)
        out: Tensor = self.rises[0](x)
        return out


class Rise(nn.Module):
    """:meth:`.bimodal_unet.Level.rise` for a few columns.

    Args:
        level: the level.
        rows: of the map before it is doubled.
        want: columns to make of the doubled map.
    """

    def __init__(self, level: Level, rows: int, want: Span) -> None:
        super().__init__()
        self.want = want
        conv, norm = level.upresblock.parts
        self.refine = Doubling(conv, norm, rows, want)

    def forward(self, x: Tensor) -> Tensor:
        """From columns ``want.reach().coarse()`` of the map to ``want`` of the doubled one."""
        plain = upsample(self.want.coarse().of(x, self.want.reach().coarse()), self.want)
        return functional.leaky_relu(self.refine(x) + plain, SLOPE)
