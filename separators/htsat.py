"""HTSAT (Chen et al. 2022), the audio encoder of LAION-CLAP, with what it makes on its way.

CLAPSep takes the maps between its stages, and adapts its attention by low-rank matrices (LoRA, Hu
et al. 2021); :func:`merged` adds those to the weights, so that they cost nothing at use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .swin import HEAD, WINDOW, Merge, SwinBlock

BANDS = 64
PATCH = 4

_DOWN, _UP = ".lora_A", ".lora_B"


@dataclass(frozen=True)
class Sizes:
    """How large an encoder is; by default HTSAT-base.

    Attributes:
        width: of the first stage's tokens, a multiple of 32; each stage has twice the one before.
        depths: blocks of each stage, two stages or more. Each has a grid of half the side of the
            one before, the last one's is a single window: so their number says how many frames the
            encoder hears.

    Raises:
        ValueError: there is no encoder of such a size.
    """

    width: int = 128
    depths: tuple[int, ...] = (2, 2, 12, 2)

    def __post_init__(self) -> None:
        if self.width < HEAD or self.width % HEAD:
            raise ValueError(
                f"tokens of {self.width} numbers; their heads take multiples of {HEAD}"
            )
        if len(self.depths) < 2 or min(self.depths) < 1:
            raise ValueError(f"stages of {self.depths} blocks; it takes two stages or more")

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the tokens of each stage."""
        return tuple(self.width << stage for stage in range(len(self.depths)))

    @property
    def sides(self) -> tuple[int, ...]:
        """Rows and columns of each stage's grid."""
        return tuple(WINDOW << stage for stage in reversed(range(len(self.depths))))

    @property
    def frames(self) -> int:
        """Of a log-mel spectrogram; shorter ones are filled up."""
        return (PATCH * self.sides[0]) ** 2 // BANDS


BASE = Sizes()


class Patches(nn.Module):
    """Each patch of 4 x 4 pixels to a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, picture: Tensor) -> Tensor:
        """From ``(batch, 1, side, side)`` pixels to a grid."""
        out: Tensor = self.norm(self.proj(picture).permute(0, 2, 3, 1))
        return out


class Stage(nn.Module):
    """Blocks of one scale, every other one shifted; then neighbours merge, but for the last."""

    def __init__(self, width: int, side: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(SwinBlock(width, side, n % 2 == 1) for n in range(depth)))
        if side > WINDOW:
            self.downsample = Merge(width)

    def forward(self, x: Tensor) -> Tensor:
        """From a grid to a grid, of half the side but in the last stage."""
        for part in self.children():
            x = part(x)
        return x


class HTSAT(nn.Module):
    """The encoder, up to its last stage: no norm after that, no pooling, no classifier."""

    def __init__(self, sizes: Sizes = BASE) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm1d(BANDS)
        self.patch_embed = Patches(sizes.width)
        self.layers = nn.ModuleList(map(Stage, sizes.widths, sizes.sides, sizes.depths))

    def forward(self, log_mel: Tensor) -> list[Tensor]:
        """Encodes a log-mel spectrogram ``(batch, 64, frames)`` in dB.

        Returns:
            The patches, and what each stage made. Of HTSAT-base, which hears 1024 frames: grids of
            sides 64, 32, 16, 8, 8 and widths 128, 256, 512, 1024, 1024.
        """
        maps = [self.patch_embed(fold(self.bn0(log_mel))[:, None])]
        for stage in self.layers:
            maps.append(stage(maps[-1]))
        return maps


def fold(bands: Tensor) -> Tensor:
    """Cuts a spectrogram into as many parts, one below the other, as make a square of it.

    Of ``(batch, 64, 1024)`` four, which make ``(batch, 256, 256)``.
    """
    parts: Tensor = bands.unflatten(2, (math.isqrt(bands.shape[2] // BANDS), -1))
    return parts.transpose(1, 2).flatten(1, 2)


def unfold(picture: Tensor) -> Tensor:
    """Undoes :func:`fold`."""
    parts: Tensor = picture.unflatten(1, (-1, BANDS))
    return parts.transpose(1, 2).flatten(2)


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with low-rank changes added to the weights that they change.

    ``W + (B @ A) / rank``, as alpha is 1; the weight may be missing, then its changes stay as they
    are.
    """
    done = dict(state)
    for key in state:
        layer = key.removesuffix(_DOWN)
        weight = f"{layer}.weight"
        if layer != key and weight in state and layer + _UP in state:
            change = state[layer + _UP].double() @ state[key].double()
            done[weight] = (state[weight] + change / len(state[key])).to(state[weight])
            del done[key], done[layer + _UP]
    return done
