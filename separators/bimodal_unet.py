"""The U-Net of the bi-modal separator: residual levels, the deepest of which attend to words.

Attributes bear the names of the published checkpoints, nested as they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import SelfCrossBlock
from .unet import double

SLOPE = 0.2
"""Of every LeakyReLU."""


class Residual(nn.Module):
    """A 3x3 convolution with batch norm, added to its input, then a LeakyReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layer = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))
        self.res_layers = nn.ModuleList([layer])

    @property
    def parts(self) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        """The convolution and its norm."""
        layer = self.res_layers[0]
        assert isinstance(layer, nn.Sequential)
        conv, norm = layer[0], layer[1]
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        return conv, norm

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self.parts
        return functional.leaky_relu(norm(conv(x)) + x, SLOPE)


class Level(nn.Module):
    """One scale: halves the map, hands it to the level below, doubles what comes back.

    Args:
        inputs, width, outputs: channels from above, at this scale, and back to above.
        words: width of the words' states where this level attends to them, else None.
        below: the next deeper level, None for the deepest.
        outermost: the last convolution has a bias, no norm and no activation.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        words: int | None,
        below: Level | None,
        outermost: bool,
    ) -> None:
        super().__init__()
        self.downconv = nn.Conv2d(inputs, width, 4, stride=2, padding=1, bias=False)
        self.downnorm = nn.BatchNorm2d(width)
        self.downresblock = Residual(width)
        if words is not None:
            self.ca_blocks = nn.ModuleList([SelfCrossBlock(width, words)])
        self.attends = words is not None
        joined = width if below is None else 2 * width
        if below is not None:
            self.submodule = below
        self.upresblock = Residual(joined)
        self.upconv = nn.Conv2d(joined, outputs, 3, padding=1, bias=outermost)
        if not outermost:
            self.upnorm = nn.BatchNorm2d(outputs)

    @property
    def attention(self) -> SelfCrossBlock:
        block: SelfCrossBlock = self.ca_blocks[0]  # type: ignore[assignment]
        return block

    def down(self, x: Tensor) -> Tensor:
        """Half the rows and columns, and the map's attention to itself where the level attends."""
        x = functional.leaky_relu(self.downnorm(self.downconv(x)), SLOPE)
        x = self.downresblock(x)
        return self.attention.listen(x) if self.attends else x

    def rise(self, x: Tensor) -> Tensor:
        """Twice the rows and columns, refined."""
        out: Tensor = self.upresblock(double(x))
        return out

    def up(self, x: Tensor) -> Tensor:
        """For the level above: :meth:`rise`, convolution, norm, ReLU."""
        return functional.relu(self.upnorm(self.upconv(self.rise(x))))


class CondAttUNet(nn.Module):
    """Nested levels on a one-channel map whose sizes are multiples of ``2 ** levels``.

    Args:
        base: channels of the first level; they double down to the fourth and stay.
        levels: number of levels.
        attending: how many of them, the deepest ones, attend to the words.
        maps: feature maps it makes.
        words: width of the words' states.
    """

    def __init__(self, base: int, levels: int, attending: int, maps: int, words: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(1)
        widths = [base * min(2**n, 8) for n in range(levels)]
        inputs = [1, *widths[:-1]]
        block: Level | None = None
        for n in reversed(range(levels)):
            context = words if n >= levels - attending else None
            outputs = inputs[n] if n else maps
            block = Level(inputs[n], widths[n], outputs, context, block, outermost=n == 0)
        assert block is not None
        self.unet_block = block

    def levels(self) -> Iterator[Level]:
        """The levels, outermost first."""
        level: Level | None = self.unet_block
        while level is not None:
            yield level
            level = getattr(level, "submodule", None)

    def listen(self, x: Tensor) -> list[Tensor]:
        """The part that no query touches: the way down to the first level that attends to words.

        Args:
            x: ``(batch, 1, rows, columns)``.

        Returns:
            What each of these levels made, outermost first, each half the size of the one before.
        """
        x = self.bn0(x)
        heard = []
        for level in self.levels():
            x = level.down(x)
            heard.append(x)
            if level.attends:
                break
        return heard

    def attend(self, heard: list[Tensor], keys_values: Tensor, log_counts: Tensor) -> list[Tensor]:
        """The part of the way down that depends on the words.

        Args:
            heard: what :meth:`listen` made of ``batch`` inputs.
            keys_values: ``(batch, queries, attending, rows, 2 * width)``, see
                :class:`~.attention.CrossAttention`.
            log_counts: ``(batch, queries, rows)``.

        Returns:
            What each level made on the way down, outermost first: of the levels that attend to
            words, for ``batch * queries``.
        """
        x = for_each(heard[-1], keys_values.shape[1])
        keys_values, log_counts = keys_values.flatten(0, 1), log_counts.flatten(0, 1)
        maps = heard[:-1]
        for n, level in enumerate(list(self.levels())[len(maps) :]):
            x = level.down(x) if n else x
            x = level.attention.attend(x, keys_values[:, n], log_counts)
            maps.append(x)
        return maps

    def ascend(self, maps: Sequence[Tensor], queries: int) -> Tensor:
        """The way up from what :meth:`attend` made: ``(batch * queries, 2 * base, ...)``.

        The outermost convolution is left out, which a query's gates are folded into.
        """
        x, levels = maps[-1], list(self.levels())
        for n in range(len(levels) - 1, 0, -1):
            beside = maps[n - 1] if levels[n - 1].attends else for_each(maps[n - 1], queries)
            x = torch.cat([beside, levels[n].up(x)], dim=1)
        return levels[0].rise(x)


def for_each(x: Tensor, queries: int) -> Tensor:
    """Repeats each member of a batch for each of its queries."""
    return x[:, None].expand(-1, queries, *x.shape[1:]).flatten(0, 1)
