"""The U-Net of the published mask estimators: halve, halve again, and double up with skips.

A level halves its input by a 4x4 convolution and, once everything below it is done, doubles what
came back by bilinear interpolation and a 3x3 convolution. Source: the sound network of Zhao et al.,
"The Sound of Pixels" (2018), as Dong et al. use it for CLIPSep (ICLR 2023).

There, the activation that opens a level is written in place, so a skip carries what LeakyReLU made
of it. The way up opens with ReLU, and ReLU(LeakyReLU(x)) = ReLU(x): here skips stay as they were.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.2
BASE = 64
"""Channels of the outermost level as published; see :class:`UNet`."""
MATRICES = 1e-4
"""Standard deviation of matrices before training, as published."""


class Level(nn.Module):
    """One level, with all levels below it inside, as the keys of checkpoints nest them.

    Keys come in two dialects. Numbered: the parts stand in a chain of layers, and the key has their
    place in it (``model.1``). Named: the key says what the part is (``downconv``), and each level
    carries a norm on its way down, whether it is used or not.

    Args:
        taken, halved, given: channels of its input, of the halved maps, and of its output.
        inner: the level below; None for the innermost one.
        outermost: no activation before the first convolution, a bias and no norm at the last one.
        extra: channels of conditioning that join the halved maps of the innermost level.
        named: the dialect of the keys.
    """

    def __init__(
        self,
        taken: int,
        halved: int,
        given: int,
        inner: Level | None,
        *,
        outermost: bool = False,
        extra: int = 0,
        named: bool = False,
    ) -> None:
        super().__init__()
        self.outermost, self.innermost = outermost, inner is None
        parts: dict[str, nn.Module] = {
            "downconv": nn.Conv2d(taken, halved, 4, stride=2, padding=1, bias=False)
        }
        if named or not (outermost or self.innermost):
            parts["downnorm"] = nn.BatchNorm2d(halved)
        if inner is not None:
            parts["submodule"] = inner
        width = halved + extra if inner is None else 2 * halved
        parts["upconv"] = nn.Conv2d(width, given, 3, padding=1, bias=outermost)
        if not outermost:
            parts["upnorm"] = nn.BatchNorm2d(given)
        places = {name: name if named else self._place(name) for name in parts}
        home = self if named else nn.Module()
        for name, part in parts.items():
            home.add_module(places[name], part)
        if not named:
            self.model = home
        prefix = "" if named else "model."
        self._parts = {name: prefix + place for name, place in places.items()}

    def _place(self, part: str) -> str:
        """Place in the chain: activation, convolution, norm, submodule, ReLU, doubling, ..."""
        chain = ["leaky", "downconv", "downnorm", "submodule", "relu", "double", "upconv", "upnorm"]
        absent = {"leaky", "downnorm", "upnorm"} if self.outermost else set()
        absent |= {"downnorm", "submodule"} if self.innermost else set()
        return str([name for name in chain if name not in absent].index(part))

    def part(self, name: str) -> nn.Module:
        """The part of that name in the named dialect, such as ``"upconv"``."""
        return self.get_submodule(self._parts[name])

    @property
    def inner(self) -> Level | None:
        """The level below."""
        if self.innermost:
            return None
        inner = self.part("submodule")
        assert isinstance(inner, Level)
        return inner

    def down(self, x: Tensor) -> Tensor:
        """Halves ``(batch, taken, 2 H, 2 W)`` to ``(batch, halved, H, W)``."""
        if self.outermost:
            return self.part("downconv")(x)  # type: ignore[no-any-return]
        x = self.part("downconv")(functional.leaky_relu(x, LEAK))
        return x if self.innermost else self.part("downnorm")(x)

    def up(self, x: Tensor) -> Tensor:
        """Doubles ``(batch, width, H, W)`` to ``(batch, given, 2 H, 2 W)``."""
        x = self.part("upconv")(double(functional.relu(x)))
        return x if self.outermost else self.part("upnorm")(x)


class UNet(nn.Module):
    """Levels inside levels, behind a norm of the input.

    Args:
        taken, given: channels of the input and of the output.
        levels: how often the input is halved, at least 5; its sides are multiples of ``2**levels``.
        base: channels of the outermost level; they double from level to level, up to eight times
            as many.
        extra, named: as in :class:`Level`.
    """

    def __init__(
        self,
        taken: int,
        given: int,
        levels: int = 7,
        *,
        base: int = BASE,
        extra: int = 0,
        named: bool = False,
    ) -> None:
        super().__init__()
        if levels < 5:
            raise ValueError(f"a U-Net of {levels} levels; it has at least 5")
        widths = [base * 2 ** min(level, 3) for level in range(levels)]
        level: Level | None = None
        for outer, halved in zip(widths[-2::-1], widths[:0:-1], strict=True):
            level = Level(outer, halved, outer, level, extra=extra, named=named)
        self.bn0 = nn.BatchNorm2d(taken)
        self.unet_block = Level(taken, base, given, level, outermost=True, named=named)

    @property
    def levels(self) -> list[Level]:
        """The levels, outermost first."""
        found: list[Level] = []
        level: Level | None = self.unet_block
        while level is not None:
            found.append(level)
            level = level.inner
        return found

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """Turns ``(batch, taken, H, W)`` into ``(batch, given, H, W)``; ``extra`` as in decode."""
        return self.decode(self.encode(x), extra)

    def encode(self, x: Tensor) -> list[Tensor]:
        """The halved maps of each level, outermost first.

        Raises:
            ValueError: a side is no multiple of ``2**levels``.
        """
        levels = self.levels
        rows, frames = x.shape[-2:]
        if rows % 2 ** len(levels) or frames % 2 ** len(levels):
            raise ValueError(
                f"{rows} rows and {frames} frames cannot be halved {len(levels)} times"
            )
        x = self.bn0(x)
        halved = []
        for level in levels:
            x = level.down(x)
            halved.append(x)
        return halved

    def decode(self, halved: list[Tensor], extra: Tensor | None = None) -> Tensor:
        """The way up from the halved maps.

        Args:
            halved: what :meth:`encode` returns.
            extra: ``(batch, extra)``, the conditioning of a network that has some, the same
                everywhere in the innermost maps.
        """
        x = with_extra(halved[-1], extra)
        levels = self.levels
        for level, skip in zip(levels[:0:-1], halved[-2::-1], strict=True):
            x = torch.cat([skip, level.up(x)], dim=1)
        return levels[0].up(x)


def with_extra(innermost: Tensor, extra: Tensor | None) -> Tensor:
    """Joins conditioning ``(batch, extra)``, if there is some, to maps, the same everywhere."""
    if extra is None:
        return innermost
    planes = extra[..., None, None].expand(-1, -1, *innermost.shape[-2:])
    return torch.cat([innermost, planes], dim=1)


def double(x: Tensor) -> Tensor:
    """Doubles both sides by bilinear interpolation between corners that stay where they are."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def initialise(network: nn.Module, matrices: float = MATRICES) -> None:
    """Draws the weights that training starts from.

    Convolutions N(0, 1e-3), scales of norms N(1, 0.02), as published; matrices by their standard
    deviation.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 1e-3)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, matrices)
