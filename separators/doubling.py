"""A 3x3 convolution of a doubled map, its channels mixed before the map is doubled.

Interpolation treats all channels alike, and mixing channels treats all places alike, so the two can
change places: each of the nine taps is a matrix over channels, applied to the map as it was before
it was doubled, and what they make is interpolated, shifted and summed. That is the same sum with a
quarter of the products, 9 C C' a cell of the smaller map; what is added, interpolating nine maps
for each that comes out, is small where channels are many. Rows and columns are interpolated and
shifted by one matrix each; for a few columns of the result theirs is narrow.

Exact but for rounding. ``tests/separators/test_doubling.py`` holds it to the plain layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .columns import Span


class Doubling(nn.Module):
    """Convolution of a doubled map, with a batch norm after it folded in.

    Args:
        conv: kernel 3x3, padding 1.
        norm: in evaluation mode; or None.
        rows: of the map before it is doubled.
        want: columns to make of the doubled map.
    """

    mix: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, rows: int, want: Span) -> None:
        super().__init__()
        kernel, bias = fold(conv, norm)
        self.register_buffer("mix", taps(kernel).flatten(0, 1)[..., None, None].contiguous())
        self.register_buffer("bias", bias[:, None, None].contiguous())
        self.spread = Spread(rows, want)

    def forward(self, x: Tensor) -> Tensor:
        """From columns ``want.reach().coarse()`` of the map to ``want`` of the doubled one."""
        made: Tensor = self.spread(functional.conv2d(x, self.mix)) + self.bias
        return made


class Spread(nn.Module):
    """What nine taps made of a map, doubled, shifted and summed.

    Args:
        rows: of the map.
        want: columns to make of the doubled map.
    """

    down: Tensor
    across: Tensor

    def __init__(self, rows: int, want: Span) -> None:
        super().__init__()
        down = _interpolations(Span.whole(2 * rows)).permute(2, 0, 1)
        self.register_buffer("down", down.flatten(1).contiguous())
        self.register_buffer("across", _interpolations(want).flatten(0, 1).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """From ``(batch, 9 maps, rows, columns)`` to ``(batch, maps, 2 rows, want)``.

        Columns are ``want.reach().coarse()``. The nine taps of a map lie together, those of one
        row of the kernel next to each other.
        """
        rows, columns = x.shape[-2:]
        taps = x.reshape(x.shape[0], -1, 3, rows, columns)
        side_by_side = taps.transpose(2, 3).reshape(x.shape[0], -1, 3 * rows, 3 * columns)
        made: Tensor = self.down @ (side_by_side @ self.across)
        return made


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution and the batch norm after it, as one convolution."""
    kernel = conv.weight.detach()
    bias = torch.zeros(len(kernel)) if conv.bias is None else conv.bias.detach()
    if norm is None:
        return kernel, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    bias = norm.bias.detach() + gain * (bias - norm.running_mean)
    return kernel * gain[:, None, None, None], bias


def taps(kernel: Tensor) -> Tensor:
    """A kernel ``(maps, channels, 3, 3)`` as a matrix a tap, ``(maps, 9, channels)``."""
    return kernel.flatten(2).transpose(1, 2)


def _interpolations(want: Span) -> Tensor:
    """Weights ``(3, coarse, want)`` of the coarse cells that each tap reads for each wanted cell.

    Corners are aligned. A tap beyond the border of the whole map reads nothing.
    """
    coarse, last = want.reach().coarse(), want.width - 1
    weights = torch.zeros(3, coarse.stop - coarse.start, want.stop - want.start)
    for tap in range(3):
        for cell in range(want.start, want.stop):
            place = cell + tap - 1
            if not 0 <= place <= last:
                continue
            below, rest = divmod(place * (coarse.width - 1), last)
            weights[tap, below - coarse.start, cell - want.start] = 1 - rest / last
            if rest:
                weights[tap, below + 1 - coarse.start, cell - want.start] = rest / last
    return weights
