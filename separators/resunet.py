"""ResUNet30, the U-Net of AudioSep: residual blocks whose norms a query shifts.

Maps are ``(batch, channels, frames, bins)``, as published. Attributes bear the names of the
published checkpoints (Kong et al. 2021 for the network, Liu et al. 2023 for the shifts). Each norm
that a query reaches is followed by an addition: one number a channel, from :attr:`ResUNet.shifted`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .columns import Span

SLOPE = 0.01
"""Of every LeakyReLU."""
WIDTHS = (32, 64, 128, 256, 384, 384)
"""Channels of the six scales, outermost first."""
CENTRE = "conv_block7a"

Shifts = Mapping[str, Tensor]
"""By name, as in :attr:`ResUNet.shifted`: ``(batch, channels, 1, 1)``."""


class Residual(nn.Module):
    """Norm, shift, LeakyReLU, 3x3 convolution, twice; added to the input.

    Args:
        inputs, outputs: channels. Where they differ the input goes through a 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def shifted(self) -> dict[str, int]:
        """Channels of each shift."""
        return {"beta1": self.bn1.num_features, "beta2": self.bn2.num_features}

    def forward(self, x: Tensor, shifts: Shifts, want: Span) -> Tensor:
        """From frames ``want.reach().reach()`` to ``want``."""
        inner = want.reach()
        y = _convolve(self.conv1, _activate(self.bn1(x) + shifts["beta1"]), inner)
        y = _convolve(self.conv2, _activate(self.bn2(y) + shifts["beta2"]), want)
        start = want.start - inner.reach().start
        own: Tensor = self.shortcut(x[:, :, start : start + want.stop - want.start])
        return y + own


class Encoder(nn.Module):
    """A residual block, whose output the decoder will see, then averages of neighbours.

    Args:
        pool: frames and bins that become one.
    """

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.conv_block1 = Residual(inputs, outputs)
        self.pool = pool

    def forward(self, x: Tensor, shifts: Shifts) -> tuple[Tensor, Tensor]:
        """Returns the pooled map and the map before it was."""
        full = self.conv_block1(x, _within(shifts, "conv_block1"), Span.whole(x.shape[2]))
        return functional.avg_pool2d(full, self.pool), full


class Decoder(nn.Module):
    """Doubles a map, joins what the encoder had at that scale, refines both together.

    Args:
        stretch: frames and bins that one becomes.
    """

    def __init__(self, inputs: int, outputs: int, stretch: tuple[int, int]) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.ConvTranspose2d(inputs, outputs, stretch, stride=stretch, bias=False)
        self.conv_block2 = Residual(2 * outputs, outputs)
        self.stretch = stretch

    def shifted(self) -> dict[str, int]:
        """Channels of each shift of its own, not of its block's."""
        return {"beta1": self.bn1.num_features}

    def reads(self, want: Span) -> Span:
        """The frames it reads of the map below to make ``want``."""
        need, times = want.reach().reach(), self.stretch[0]
        return Span(need.start // times, -(-need.stop // times), want.width // times)

    def forward(self, x: Tensor, beside: Tensor, shifts: Shifts, want: Span) -> Tensor:
        """From frames ``reads(want)``, and all frames of the encoder's map, to ``want``."""
        have, need = self.reads(want), want.reach().reach()
        x = self.conv1(_activate(self.bn1(x) + shifts["beta1"]))
        start = need.start - have.start * self.stretch[0]
        x = x[:, :, start : start + need.stop - need.start]
        joined = torch.cat([x, beside[:, :, need.start : need.stop]], dim=1)
        out: Tensor = self.conv_block2(joined, _within(shifts, "conv_block2"), want)
        return out


class ResUNet(nn.Module):
    """The way down through six scales and up again: ``(batch, 1, ...)`` to ``(batch, 3, ...)``."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(bins)
        self.pre_conv = nn.Conv2d(1, WIDTHS[0], 1)
        pools = [(2, 2)] * 5 + [(1, 2)]
        inputs = [WIDTHS[0], *WIDTHS[:-1]]
        for n, (before, width, pool) in enumerate(zip(inputs, WIDTHS, pools, strict=True), 1):
            self.add_module(f"encoder_block{n}", Encoder(before, width, pool))
        self.conv_block7a = Encoder(WIDTHS[-1], WIDTHS[-1], (1, 1))
        below = [WIDTHS[-1], *WIDTHS[:0:-1]]
        for n, (deep, width) in enumerate(zip(below, reversed(WIDTHS), strict=True), 1):
            self.add_module(f"decoder_block{n}", Decoder(deep, width, pools[-n]))
        self.after_conv = nn.Conv2d(WIDTHS[0], 3, 1)
        self.shifted = {
            f"{module.replace('.', '->')}->{beta}": channels
            for module, part in self.named_modules()
            if isinstance(part, Residual | Decoder)
            for beta, channels in part.shifted().items()
        }
        """Channels of each shift, by the name that the published checkpoints give to its layer."""

    def forward(self, x: Tensor, shifts: Shifts, want: Span) -> Tensor:
        """Runs the network.

        Args:
            x: ``(batch, 1, frames, bins)``; frames are a multiple of 32, bins of 64.
            shifts: see :data:`Shifts`.
            want: frames to make; the way down is always made whole.

        Returns:
            ``(batch, 3, want, bins)``.
        """
        x = self.pre_conv(x)
        full = []
        for name, encoder in self._blocks("encoder_block"):
            assert isinstance(encoder, Encoder)
            x, beside = encoder(x, _within(shifts, name))
            full.append(beside)
        x, _ = self.conv_block7a(x, _within(shifts, CENTRE))
        decoders = [(n, d) for n, d in self._blocks("decoder_block") if isinstance(d, Decoder)]
        spans = [want]
        for _, decoder in reversed(decoders):
            spans.append(decoder.reads(spans[-1]))
        first = spans.pop()
        x = x[:, :, first.start : first.stop]
        for (name, decoder), beside in zip(decoders, reversed(full), strict=True):
            x = decoder(x, beside, _within(shifts, name), spans.pop())
        out: Tensor = self.after_conv(x)
        return out

    def _blocks(self, name: str) -> Iterator[tuple[str, nn.Module]]:
        for n in range(1, len(WIDTHS) + 1):
            yield f"{name}{n}", self.get_submodule(f"{name}{n}")


def _activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


def _convolve(conv: nn.Conv2d, x: Tensor, want: Span) -> Tensor:
    """A 3x3 convolution from frames ``want.reach()`` to ``want``, zeros beyond the whole map's."""
    borders = int(want.start == 0), int(want.stop == want.width)
    if borders == (1, 1):
        return functional.conv2d(x, conv.weight, padding=1)
    x = functional.pad(x, (0, 0, *borders))
    return functional.conv2d(x, conv.weight, padding=(0, 1))


def _within(shifts: Shifts, name: str) -> Shifts:
    """The shifts of a module's parts, by their names in there."""
    prefix = f"{name}->"
    return {key.removeprefix(prefix): shifts[key] for key in shifts if key.startswith(prefix)}
