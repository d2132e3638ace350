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
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bimodal_unet import CondAttUNet
from .clap_text import ClapText
from .columns import Span, pad
from .late_fusion import InnerProduct
from .spectrogram import Spectrogram, magnitude

BIMODAL_FRONT = Spectrogram(16_000, 1022, 256, 131_070, "reflect")

UNUSED_ROW = -1e4
"""The ln of a count that weighs nothing, finite so that no sum of such becomes NaN."""


@dataclass(frozen=True)
class BiModalConfig:
    """Sizes of a :class:`BiModal`; the defaults are those of the published system.

    Attributes:
        base, levels, attending, maps, words: see :class:`~.bimodal_unet.CondAttUNet`.
        embedding: length of the pooled text embedding.
        front: its STFT; bins and frames are multiples of ``2 ** levels``.
    """

    base: int = 64
    levels: int = 7
    attending: int = 3
    maps: int = 32
    words: int = 768
    embedding: int = 512
    front: Spectrogram = BIMODAL_FRONT

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


class Clap(nn.Module):
    """One gate a feature map, from the pooled text embedding; CLAP's text branch where it is there.

    The text branch hangs where the published checkpoints have it, two levels deep.
    """

    def __init__(self, embedding: int, maps: int, text: ClapText | None) -> None:
        super().__init__()
        self.fc = nn.Linear(embedding, maps)
        if text is not None:
            self.model = nn.Module()
            self.model.add_module("model", text)

    @property
    def text(self) -> ClapText | None:
        """CLAP's text branch, with its projection."""
        outer = getattr(self, "model", None)
        return None if outer is None else outer.model

    def forward(self, embedding: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(embedding))


class BiModal(nn.Module):
    """The network: ``forward(spectrogram, conditioning) -> masks``.

    Args:
        config: sizes.
        text: CLAP's text branch, which makes queries of words; None where those come from outside.
    """

    def __init__(self, config: BiModalConfig, text: ClapText | None = None) -> None:
        super().__init__()
        self.config = config
        c = config
        self.net_sound = CondAttUNet(c.base, c.levels, c.attending, c.maps, c.words)
        self.net_clap = Clap(c.embedding, c.maps, text)
        self.net_synthesizer = InnerProduct(c.maps)

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
        gains, offset = self.net_synthesizer.condition(self.net_clap(embedding)).split(
            [self.config.maps, 1], dim=-1
        )
        kernel = gains @ last.weight.flatten(1)
        bias = gains @ last.bias[:, None] + offset
        parts = [log_counts, torch.stack(keys_values, dim=-3).flatten(-3), kernel, bias]
        return torch.cat(parts, dim=-1)

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        """Separates clips.

        Args:
            spectrogram: ``(batch, bins, frames, 2)`` float32; bins and frames are multiples of
                ``2 ** levels``.
            conditioning: ``(queries, size)``, or ``(batch, queries, size)`` where every member of
                the batch has queries of its own; see :meth:`condition`.

        Returns:
            Masks ``(batch, queries, bins, frames, 1)`` in [0, 1].
        """
        whole = Span.whole(spectrogram.shape[2])
        return self.masks(spectrogram, conditioning, self.net_sound.ascend, whole)

    def masks(
        self,
        spectrogram: Tensor,
        conditioning: Tensor,
        ascend: Callable[[list[Tensor], int], Tensor],
        want: Span,
    ) -> Tensor:
        """As :meth:`forward`, for frames ``want``, with a way up that makes ``want.reach()``."""
        batch = spectrogram.shape[0]  # not len(), which an exporter takes for a constant
        log_counts, keys_values, kernel, bias = self._unpack(conditioning.expand(batch, -1, -1))
        heard = self.net_sound.listen(torch.log1p(magnitude(spectrogram))[:, None])
        maps = self.net_sound.attend(heard, keys_values, log_counts)
        x = ascend(maps, keys_values.shape[1])
        logits = _convolve_each(pad(x, want), kernel.flatten(0, 1)) + bias.flatten(0, 1)[..., None]
        masks: Tensor = torch.sigmoid(logits).unflatten(0, (batch, -1))
        return masks[..., None]

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
