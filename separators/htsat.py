"""HTSAT-base (Chen et al. 2022), the audio encoder of LAION-CLAP, with what it makes on its way.

CLAPSep takes the maps between its stages, and adapts its attention by low-rank matrices (LoRA, Hu
et al. 2021); :func:`merged` adds those to the weights, so that they cost nothing at use.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from .swin import Merge, SwinBlock

FRAMES = 1024
"""Frames of a log-mel spectrogram; shorter ones are filled up."""
BANDS = 64
WIDTHS = (128, 256, 512, 1024)
"""Of the tokens of the four stages."""
DEPTHS = (2, 2, 12, 2)
SIDES = (64, 32, 16, 8)
"""Rows and columns of their grids."""
PATCH = 4

LORA_SCALE = 1 / 16
"""lora_alpha 1 over rank 16."""
_DOWN, _UP = ".lora_A", ".lora_B"


class Patches(nn.Module):
    """Each patch of 4 x 4 pixels to a token."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, WIDTHS[0], PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(WIDTHS[0])

    def forward(self, picture: Tensor) -> Tensor:
        """From ``(batch, 1, 256, 256)`` to a grid of 64 x 64."""
        out: Tensor = self.norm(self.proj(picture).permute(0, 2, 3, 1))
        return out


class Stage(nn.Module):
    """Blocks of one scale, every other one shifted; then neighbours merge, but for the last."""

    def __init__(self, width: int, side: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(SwinBlock(width, side, n % 2 == 1) for n in range(depth)))
        if width < WIDTHS[-1]:
            self.downsample = Merge(width)

    def forward(self, x: Tensor) -> Tensor:
        """From a grid to a grid, of half the side but in the last stage."""
        for part in self.children():
            x = part(x)
        return x


class HTSAT(nn.Module):
    """The encoder, up to its last stage: no norm after that, no pooling, no classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm1d(BANDS)
        self.patch_embed = Patches()
        self.layers = nn.ModuleList(map(Stage, WIDTHS, SIDES, DEPTHS))

    def forward(self, log_mel: Tensor) -> list[Tensor]:
        """Encodes a log-mel spectrogram ``(batch, 64, 1024)`` in dB.

        Returns:
            Grids of sides 64, 32, 16, 8, 8 and widths 128, 256, 512, 1024, 1024: the patches, and
            what each stage made.
        """
        maps = [self.patch_embed(fold(self.bn0(log_mel))[:, None])]
        for stage in self.layers:
            maps.append(stage(maps[-1]))
        return maps


def fold(bands: Tensor) -> Tensor:
    """Cuts ``(batch, 64, 1024)`` into quarters, one below the other: ``(batch, 256, 256)``."""
    quarters: Tensor = bands.unflatten(2, (PATCH, -1))
    return quarters.transpose(1, 2).flatten(1, 2)


def unfold(picture: Tensor) -> Tensor:
    """Undoes :func:`fold`."""
    quarters: Tensor = picture.unflatten(1, (PATCH, -1))
    return quarters.transpose(1, 2).flatten(2)


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with low-rank changes added to the weights that they change.

    ``W + (B @ A) / 16``; the weight may be missing, then its changes stay as they are.
    """
    done = dict(state)
    for key in state:
        layer = key.removesuffix(_DOWN)
        weight = f"{layer}.weight"
        if layer != key and weight in state and layer + _UP in state:
            change = state[layer + _UP].double() @ state[key].double()
            done[weight] = (state[weight] + LORA_SCALE * change).to(state[weight])
            del done[key], done[layer + _UP]
    return done
