"""Swin blocks (Liu et al. 2021): attention within windows of 8 x 8 tokens on a grid.

Own code, although the library transformers has such blocks in its CLAP: CLAPSep's decoder needs
them outside of that model, its adapted weights come under the published names, with queries, keys
and values in one matrix, and an exported graph wants grids of a fixed size with nothing to decide.
``tests/separators/test_clapsep.py`` holds the blocks equal.

Grids are ``(batch, rows, columns, width)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 8
SHIFT = WINDOW // 2
HEAD = 32
"""Width of one head of attention."""

_CELLS = WINDOW * WINDOW
_APART = -100.0  # added to the logit of two tokens that lie in one window only by the roll


class WindowAttention(nn.Module):
    """Attention of the tokens of a window to each other; where they lie to each other counts."""

    index: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        heads = width // HEAD
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.register_buffer("index", _relative_positions(), persistent=False)

    def forward(self, x: Tensor, apart: Tensor | None) -> Tensor:
        """Attends.

        Args:
            x: ``(batch, windows, 64, width)``.
            apart: ``(windows, 1, 64, 64)``, added to the logits; or None.
        """
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)
        bias = bias if apart is None else bias + apart
        # one transposition of all three is quicker than three
        parts = self.qkv(x).unflatten(-1, (3, -1, HEAD)).permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.unbind(0)
        attended = attend(query, key, value, bias)
        out: Tensor = self.proj(attended.transpose(2, 3).flatten(3))
        return out


class Mlp(nn.Module):
    """Two dense layers with the exact GELU between; the hidden one is four times as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class SwinBlock(nn.Module):
    """Pre-norm residual block: attention within windows, then an MLP.

    Args:
        width: of a token.
        side: rows and columns of the grid.
        shifted: whether the windows lie half a window lower and further right than the others', and
            wrap around. A grid of one window has none such.
    """

    apart: Tensor | None

    def __init__(self, width: int, side: int, shifted: bool = False) -> None:
        super().__init__()
        self.shifted = shifted and side > WINDOW
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        apart = _strangers(side) if self.shifted else None
        self.register_buffer("apart", apart, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From a grid to a grid."""
        y = self.norm1(x)
        if self.shifted:
            y = torch.roll(y, (-SHIFT, -SHIFT), dims=(1, 2))
        y = _grid(self.attn(_windows(y), self.apart), x.shape[1])
        if self.shifted:
            y = torch.roll(y, (SHIFT, SHIFT), dims=(1, 2))
        x = x + y
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Merge(nn.Module):
    """Four neighbours to one token of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halves rows and columns."""
        four = [x[:, row::2, column::2] for column in range(2) for row in range(2)]
        out: Tensor = self.reduction(self.norm(torch.cat(four, dim=-1)))
        return out


class Expand(nn.Module):
    """A token to four neighbours of half the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(width // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Doubles rows and columns."""
        batch, rows, columns, width = x.shape
        four = self.expand(x).reshape(batch, rows, columns, 2, 2, width // 2)
        apart = four.permute(0, 1, 4, 2, 3, 5)  # the column counts more than the row
        out: Tensor = self.norm(apart.reshape(batch, 2 * rows, 2 * columns, width // 2))
        return out


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, ``(..., positions, width)``; the bias is added to the logits.

    Spelt out, since torch's own cannot be exported where there are windows and heads.
    """
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    attended: Tensor = torch.softmax(logits if bias is None else logits + bias, dim=-1) @ value
    return attended


def _windows(x: Tensor) -> Tensor:
    """A grid to ``(batch, windows, 64, width)``."""
    batch, rows, columns, width = x.shape
    cut = x.reshape(batch, rows // WINDOW, WINDOW, columns // WINDOW, WINDOW, width)
    return cut.transpose(2, 3).reshape(batch, -1, _CELLS, width)


def _grid(x: Tensor, rows: int) -> Tensor:
    """Undoes :func:`_windows` for a grid of so many rows."""
    batch, _, _, width = x.shape
    cut = x.reshape(batch, rows // WINDOW, -1, WINDOW, WINDOW, width)
    return cut.transpose(2, 3).reshape(batch, rows, -1, width)


def _relative_positions() -> Tensor:
    """Which row of a table of 15 x 15 places goes with a token that attends to another."""
    cell = torch.arange(_CELLS)
    row, column = cell // WINDOW, cell % WINDOW
    down, across = row[:, None] - row, column[:, None] - column
    return (down + WINDOW - 1) * (2 * WINDOW - 1) + across + WINDOW - 1


def _strangers(side: int) -> Tensor:
    """What keeps tokens apart that the roll brought into one window: ``(windows, 1, 64, 64)``."""
    place = torch.arange(side)
    third = (place >= side - WINDOW).long() + (place >= side - SHIFT)
    region = (3 * third[:, None] + third)[None, ..., None]
    cells = _windows(region)[0, ..., 0]
    return _APART * (cells[:, None] != cells[:, :, None]).float()[:, None]
