"""The way up of a U-Net for live play: a few columns, in the fewest products, exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .columns import Span
from .doubling import Doubling
from .unet import UNet, with_extra


class Ascent(nn.Module):
    """The way up of a network in evaluation mode, for a few columns, in the fewest products.

    Up to, and not including, the outermost convolution, which a query may be folded into. For the
    columns asked for it makes what :meth:`.unet.UNet.decode` makes, but for rounding.

    Args:
        unet: the network.
        rows: of its input.
        want: columns of its output.
    """

    def __init__(self, unet: UNet, rows: int, want: Span) -> None:
        super().__init__()
        self.spans = [want]
        self.doublings = nn.ModuleList()
        for depth, level in enumerate(unet.levels[1:], start=1):
            self.spans.append(self.spans[-1].reach().coarse())
            conv, norm = level.part("upconv"), level.part("upnorm")
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            self.doublings.append(Doubling(conv, norm, rows >> (depth + 1), self.spans[-1]))

    def forward(self, halved: list[Tensor], extra: Tensor | None = None) -> Tensor:
        """Rectified input of the outermost convolution before it is doubled.

        Args:
            halved, extra: as in :meth:`.unet.UNet.decode`.

        Returns:
            ``(batch, width, rows / 2, columns)``, columns ``want.reach().coarse()``.
        """
        x = with_extra(halved[-1], extra)
        x = self.spans[-1].reach().coarse().of(x, Span.whole(x.shape[-1]))
        for doubling, span, skip in zip(
            reversed(self.doublings), self.spans[:0:-1], halved[-2::-1], strict=True
        ):
            beside = span.of(skip, Span.whole(span.width))
            x = torch.cat([beside, doubling(functional.relu(x))], dim=1)
        return functional.relu(x)


class WholeAscent(nn.Module):
    """The way up with the outermost convolution, where no query is folded into that.

    Args:
        unet, rows, want: as in :class:`Ascent`.
    """

    def __init__(self, unet: UNet, rows: int, want: Span) -> None:
        super().__init__()
        self.ascent = Ascent(unet, rows, want)
        last = unet.unet_block.part("upconv")
        assert isinstance(last, nn.Conv2d)
        self.last = Doubling(last, None, rows // 2, want)

    def forward(self, halved: list[Tensor], extra: Tensor | None = None) -> Tensor:
        """Columns ``want`` of what :meth:`.unet.UNet.decode` makes."""
        return self.last(self.ascent(halved, extra))  # type: ignore[no-any-return]
