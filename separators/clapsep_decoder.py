"""CLAPSep's decoder: the encoder's maps and a query to a mask over the spectrogram.

Up through the encoder's scales in reverse, at each of which the query scales and shifts the
encoder's map before it is added; the last map is unfolded to the frames again, set beside the
spectrogram, and a small transformer over all frames makes the mask of both. Names of attributes are
those of the published checkpoints, where the deepest stage comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .columns import Span
from .htsat import BANDS, PATCH, Sizes, unfold
from .swin import WINDOW, Expand, SwinBlock, attend

EMBEDDING = 1024
"""Numbers of a query: its positive and its negative half."""
HEADS = 8
"""Of the transformer over frames."""


class Film(nn.Module):
    """A factor and a summand for each channel, of a query."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Linear(EMBEDDING, width)
        self.beta = nn.Linear(EMBEDDING, width)

    def forward(self, embedding: Tensor) -> Tensor:
        """``(..., 1024)`` to ``(..., 2 * width)``, the factors first."""
        return torch.cat([self.gamma(embedding), self.beta(embedding)], dim=-1)


class Skip(nn.Module):
    """A map of the encoder's, scaled and shifted by a query, joins the decoder's; then a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.skip_conv = Film(width)
        self.feature_proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, heard: Tensor, film: Tensor, x: Tensor | None = None) -> Tensor:
        """Makes a grid for each query.

        Args:
            heard: ``(batch, rows, columns, width)``.
            film: ``(queries, 2 * width)``; or ``(batch, queries, 2 * width)``, each map its own.
            x: ``(batch * queries, rows, columns, width)``, what the decoder has so far; or None.
        """
        gamma, beta = film[..., None, None, :].chunk(2, dim=-1)
        asked = (self.feature_proj(heard)[:, None] * gamma + beta).flatten(0, 1)
        out: Tensor = self.norm(asked if x is None else x + asked)
        return out


class Stage(nn.Module):
    """Tokens of the stage below, each made four but in the deepest stage, and one block."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([SwinBlock(width, side)])
        if side > WINDOW:
            self.downsample = Expand(2 * width)

    def forward(self, x: Tensor) -> Tensor:
        """From a grid to a grid."""
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        out: Tensor = self.blocks[0](x)
        return out


class Picture(nn.Module):
    """Each token to a patch of 4 x 4 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.proj = nn.ConvTranspose2d(width, 1, PATCH, stride=PATCH)

    def forward(self, x: Tensor) -> Tensor:
        """From a grid to ``(batch, side, side)`` pixels."""
        patches = self.norm(x) @ self.proj.weight.flatten(1) + self.proj.bias
        rows: Tensor = patches.unflatten(-1, (PATCH, PATCH)).transpose(2, 3)
        return rows.flatten(3).flatten(1, 2)


class SelfAttention(nn.Module):
    """Attention of each of some frames to all; parameters as ``nn.MultiheadAttention`` has them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor, want: Span) -> Tensor:
        """From all frames ``(batch, frames, width)`` to those wanted."""
        weight, bias, width = self.in_proj_weight, self.in_proj_bias, x.shape[-1]
        query = functional.linear(_frames(x, want), weight[:width], bias[:width])
        key, value = functional.linear(x, weight[width:], bias[width:]).chunk(2, dim=-1)
        heads = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (query, key, value))
        attended = attend(*heads)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Post-norm transformer layer; named and computed as ``nn.TransformerEncoderLayer``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, want: Span) -> Tensor:
        """From all frames to those wanted."""
        x = self.norm1(_frames(x, want) + self.self_attn(x, want))
        out: Tensor = self.norm2(x + self.linear2(functional.relu(self.linear1(x))))
        return out


class Transformer(nn.Module):
    """Layers over the frames, the last of which makes the wanted ones only."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, x: Tensor, want: Span) -> Tensor:
        """From all frames to those wanted."""
        whole = Span.whole(x.shape[1])
        for n, layer in enumerate(self.layers, start=1):
            x = layer(x, want if n == len(self.layers) else whole)
        return x


class Decoder(nn.Module):
    """The decoder.

    Args:
        bins: of the spectrogram.
        encoder: sizes of the encoder.
        width, layers: of the transformer over frames.
    """

    def __init__(self, bins: int, encoder: Sizes, width: int, layers: int) -> None:
        super().__init__()
        widths = encoder.widths[::-1]
        self.layers = nn.ModuleList(map(Stage, widths, reversed(encoder.sides)))
        self.film = Skip(widths[0])
        self.skip = nn.ModuleList(map(Skip, widths))
        self.inverse_patch_embed = Picture(encoder.width)
        self.spec_norm = nn.BatchNorm1d(bins)
        joined = nn.Linear(bins + BANDS, width)
        self.mask_net = nn.ModuleList(
            [joined, nn.LayerNorm(width), Transformer(width, layers), nn.Linear(width, bins)]
        )

    def condition(self, embedding: Tensor) -> Tensor:
        """Factors and summands of queries ``(..., 1024)``, at all places one after the other.

        Returns:
            ``(..., size)``; of the published network 5888 numbers at five places.
        """
        return torch.cat([skip.skip_conv(embedding) for skip in self._skips()], dim=-1)

    def forward(
        self, magnitude: Tensor, heard: Sequence[Tensor], conditioning: Tensor, want: Span
    ) -> Tensor:
        """Makes masks.

        Args:
            magnitude: ``(batch, bins, frames)``.
            heard: the encoder's maps, see :meth:`.htsat.HTSAT.forward`.
            conditioning: ``(queries, size)``; or ``(batch, queries, size)``, each item its own.
            want: frames to make masks for.

        Returns:
            ``(batch, queries, bins, want)`` in [0, 1].
        """
        batch, queries = magnitude.shape[0], conditioning.shape[-2]
        sizes = [2 * skip.norm.normalized_shape[0] for skip in self._skips()]
        first, *films = conditioning.split(sizes, dim=-1)
        x = self.film(heard[-1], first)
        for stage, skip, film, beside in zip(
            self.layers, self.skip, films, heard[-2::-1], strict=True
        ):
            x = skip(beside, film, stage(x))
        bands = unfold(self.inverse_patch_embed(x))[..., : magnitude.shape[2]]
        spectrum = self.spec_norm(magnitude)[:, None].expand(-1, queries, -1, -1).flatten(0, 1)
        joined, norm, transformer, out = self.mask_net
        x = norm(joined(torch.cat([spectrum, bands], dim=1).transpose(1, 2)))
        masks = torch.sigmoid(out(transformer(x, want))).transpose(1, 2)
        separated: Tensor = masks.unflatten(0, (batch, queries))
        return separated

    def _skips(self) -> list[Skip]:
        return [self.film, *(skip for skip in self.skip if isinstance(skip, Skip))]


def _frames(x: Tensor, want: Span) -> Tensor:
    return x[:, want.start : want.stop]
