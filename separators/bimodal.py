"""The bi-modal separator: a U-Net that attends to CLAP's words (Mahmud et al., ICLR 2024).

"Weakly-supervised Audio Separation via Bi-modal Semantic Similarity", arXiv 2404.01740. The words
enter twice: the three deepest scales attend to the token states of CLAP's text encoder, and the
pooled text embedding gates the feature maps of which the mask is the weighted sum. The mask
multiplies the magnitudes of the mixture; its phase is kept.

All that depends on the words alone is made once per query (:meth:`BiModal.condition`): keys and
values for each attention, and the last convolution with the gates folded in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bimodal_unet import CondAttUNet
from .columns import Span, pad

POSITIONS = 77
"""Tokens that a text is padded to. The padding is attended to as well: it is part of the model."""

UNUSED_ROW = -1e4
"""The ln of a count that weighs nothing, finite so that no sum of such becomes NaN."""


@dataclass(frozen=True)
class BiModalConfig:
    """Sizes of a :class:`BiModal`; the defaults are those of the published system.

    Attributes:
        base, levels, attending, maps, words: see :class:`~.bimodal_unet.CondAttUNet`.
        embedding: length of the pooled text embedding.
    """

    base: int = 64
    levels: int = 7
    attending: int = 3
    maps: int = 32
    words: int = 768
    embedding: int = 512

    def __post_init__(self) -> None:
        if not 1 <= self.attending <= self.levels - 3:
            raise ValueError(
                f"{self.attending} of {self.levels} levels attend; levels of one width can: "
                "1 to all but the first three"
            )

    @property
    def width(self) -> int:
        """Channels of the levels that attend."""
        return 8 * self.base

    @property
    def row_size(self) -> int:
        """Numbers of conditioning a row of the words takes: its keys, values and count."""
        return 2 * self.attending * self.width + 1

    @property
    def readout_size(self) -> int:
        """Numbers of conditioning the folded last convolution takes."""
        return 2 * self.base * 9 + 1


class Gates(nn.Module):
    """One gate a feature map, from the pooled text embedding."""

    def __init__(self, embedding: int, maps: int) -> None:
        super().__init__()
        self.fc = nn.Linear(embedding, maps)

    def forward(self, embedding: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(embedding))


class Synthesizer(nn.Module):
    """The weighted sum of gated maps that is the mask's logit."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(maps))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, gates: Tensor, maps: Tensor) -> Tensor:
        """Gates ``(batch, maps)`` and maps ``(batch, maps, ...)`` to logits ``(batch, ...)``."""
        return torch.einsum("bc,bc...->b...", gates * self.scale, maps) + self.bias


class BiModal(nn.Module):
    """The network: ``forward(log_magnitude, conditioning) -> masks``.

    Args:
        config: sizes; columns and rows of its input are multiples of ``2 ** levels``.
    """

    def __init__(self, config: BiModalConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.net_sound = CondAttUNet(c.base, c.levels, c.attending, c.maps, c.words)
        self.net_clap = Gates(c.embedding, c.maps)
        self.net_synthesizer = Synthesizer(c.maps)

    def condition(self, tokens: Tensor, counts: Tensor, embedding: Tensor) -> Tensor:
        """Makes of a text all that the network needs to know about it.

        Args:
            tokens: ``(..., rows, words)``, the distinct states of the text encoder's last layer.
            counts: ``(..., rows)``, at how many of the 77 positions each stands; 0 is a filler.
            embedding: ``(..., embedding)``, the pooled text embedding, of length 1.

        Returns:
            ``(..., rows * row_size + readout_size)``: ln of the counts, keys and values of each
            attention, and the kernel ``(2 * base, 3, 3)`` and bias of the folded last convolution.
        """
        log_counts = torch.where(counts > 0, counts.clamp(min=1).to(tokens).log(), UNUSED_ROW)
        levels = [level for level in self.net_sound.levels() if level.attends]
        keys_values = [level.attention.ca_block.attn.kv(tokens) for level in levels]
        last = self.net_sound.unet_block.upconv
        assert last.bias is not None
        gains = self.net_clap(embedding) * self.net_synthesizer.scale
        kernel = (gains @ last.weight.flatten(1)).unflatten(-1, last.weight.shape[1:])
        bias = gains @ last.bias[:, None] + self.net_synthesizer.bias
        parts = [log_counts, torch.stack(keys_values, dim=-3).flatten(-3), kernel.flatten(-3), bias]
        return torch.cat(parts, dim=-1)

    def forward(
        self, log_magnitude: Tensor, conditioning: Tensor, want: Span | None = None
    ) -> Tensor:
        """Makes the masks of every query.

        Args:
            log_magnitude: ``(batch, bins, frames)`` float32, ``ln(1 + magnitude)``.
            conditioning: ``(queries, size)``, or ``(batch, queries, size)`` where every member of
                the batch has queries of its own; see :meth:`condition`.
            want: the frames to make masks for; all, if None. Fewer cost less and are the same.

        Returns:
            ``(batch, queries, bins, frames)``, each between 0 and 1.
        """
        batch, _, frames = log_magnitude.shape
        want = want or Span.whole(frames)
        log_counts, keys_values, kernel, bias = self._unpack(conditioning.expand(batch, -1, -1))
        heard = self.net_sound.listen(log_magnitude[:, None])
        x = self.net_sound.answer(heard, keys_values, log_counts, want)
        logits = _convolve_each(pad(x, want), kernel.flatten(0, 1)) + bias.flatten(0, 1)[..., None]
        masks: Tensor = torch.sigmoid(logits).unflatten(0, (batch, -1))
        return masks

    def _unpack(self, conditioning: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Ln counts, keys and values, kernel ``(..., 9, channels)`` and bias ``(..., 1)``."""
        c = self.config
        rows, extra = divmod(conditioning.shape[-1] - c.readout_size, c.row_size)
        if rows < 1 or extra:
            raise ValueError(
                f"conditioning of {conditioning.shape[-1]} numbers is not this network's"
            )
        sizes = [rows, rows * (c.row_size - 1), c.readout_size - 1, 1]
        log_counts, keys_values, kernel, bias = conditioning.split(sizes, dim=-1)
        keys_values = keys_values.unflatten(-1, (c.attending, rows, -1))
        return log_counts, keys_values, kernel.unflatten(-1, (-1, 9)).transpose(-1, -2), bias


def _convolve_each(x: Tensor, kernels: Tensor) -> Tensor:
    """A 3x3 convolution to one map with a kernel for each member of the batch.

    All nine taps in one matrix product, then a sum of nine shifts: an exported graph can take the
    kernels as input, for any number of queries.

    Args:
        x: ``(batch, channels, rows, columns + 2)``.
        kernels: ``(batch, 9, channels)``.

    Returns:
        ``(batch, rows, columns)``.
    """
    rows, columns = x.shape[2], x.shape[3] - 2
    taps = functional.pad((kernels @ x.flatten(2)).unflatten(2, x.shape[2:]), (0, 0, 1, 1))
    out: Tensor = sum(
        taps[:, 3 * dy + dx, dy : dy + rows, dx : dx + columns]
        for dy in range(3)
        for dx in range(3)
    )  # type: ignore[assignment]
    return out


@contextlib.contextmanager
def batch_statistics(network: BiModal) -> Iterator[None]:
    """Inside, batch norms use the statistics of the input at hand, as the published demo does.

    The published ``demo.py`` never switches the network to evaluation mode: each window is
    normalised by its own mean and biased variance instead of those learnt in training. That is a
    fault, kept here to reproduce its output; the running statistics stay as they were.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.train()
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, (training, tracking) in zip(norms, before, strict=True):
            norm.train(training)
            norm.track_running_stats = tracking
