"""Transformer parts of the bi-modal separator: a map attends to itself, then to the words.

Names of attributes are those of the published checkpoints (Mahmud et al. 2024), so that their
state dicts load key for key. No part knows positions: neither the map's nor the words'.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

HEADS = 8


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself; head size ``width / 8``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, positions, width)`` to the same shape."""
        query, key, value = (_heads(part) for part in self.qkv(x).chunk(3, dim=-1))
        attended = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


class CrossAttention(nn.Module):
    """Multi-head attention of a sequence to the rows of a query's words."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(words, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, keys_values: Tensor, log_counts: Tensor) -> Tensor:
        """Attends to keys and values that :attr:`kv` made of the words beforehand.

        Args:
            x: ``(batch, positions, width)``.
            keys_values: ``(batch, rows, 2 * width)``, keys first.
            log_counts: ``(batch, rows)``: ln of how often a row stands in the sequence. Equal
                positions share one row: ``n`` equal logits ``l`` weigh as one ``l + ln n``.
        """
        key, value = (_heads(part) for part in keys_values.chunk(2, dim=-1))
        bias = log_counts[:, None, None]
        attended = functional.scaled_dot_product_attention(_heads(self.q(x)), key, value, bias)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two dense layers with the exact GELU between; the hidden one is twice as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class SelfBlock(nn.Module):
    """Pre-norm residual block: self-attention, then an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = SelfAttention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class CrossBlock(nn.Module):
    """Pre-norm residual block: attention to the words, then an MLP."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = CrossAttention(width, words)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor, keys_values: Tensor, log_counts: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), keys_values, log_counts)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class SelfCrossBlock(nn.Module):
    """Self-attention, then cross-attention, on a map whose cells are the sequence.

    The first half (:meth:`listen`) does not depend on the query. ``norm1`` is stored in the
    published checkpoints and used by none of their code, nor here.
    """

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.sa_block = SelfBlock(width)
        self.ca_block = CrossBlock(width, words)

    def listen(self, x: Tensor) -> Tensor:
        """Lets a map ``(batch, width, rows, columns)`` attend to itself."""
        return _as_map(self.sa_block(x.flatten(2).transpose(1, 2)), x)

    def attend(self, x: Tensor, keys_values: Tensor, log_counts: Tensor) -> Tensor:
        """Lets a map attend to the words; see :class:`CrossAttention` for their form."""
        cells = x.flatten(2).transpose(1, 2)
        return _as_map(self.ca_block(cells, keys_values, log_counts), x)


def _as_map(cells: Tensor, like: Tensor) -> Tensor:
    """``(batch, rows * columns, width)`` to the form of a map."""
    out: Tensor = cells.transpose(1, 2).unflatten(2, like.shape[2:])
    return out


def _heads(x: Tensor) -> Tensor:
    """``(batch, positions, width)`` to ``(batch, heads, positions, width / heads)``."""
    out: Tensor = x.unflatten(-1, (HEADS, -1))
    return out.transpose(1, 2)
