"""AudioSep: any sound, asked for in words (Liu et al., "Separate Anything You Describe", 2023).

A query is a text's embedding by LAION-CLAP, of length 1. It acts by additions alone: each of 32
norms of the U-Net (:class:`~.resunet.ResUNet`) is followed by a shift that a linear layer makes of
it. All shifts together are the conditioning; nothing else of a query is needed while playing.

The network sees magnitudes. It makes, for each cell, how much of it to keep and by what angle to
turn its phase: together a complex mask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .columns import Span
from .resunet import ResUNet
from .spectrogram import Spectrogram

AUDIOSEP_FRONT = Spectrogram(32_000, 2048, 320, 160_000, "reflect")
"""Its transform; clips of 5 s, as in training."""
CLAP_SIZE = 512
"""Length of a query's embedding."""

_FLOOR = 1e-10
_BLOCK = 32
"""Frames of the input are filled up to a multiple of as many."""


class AudioSep(nn.Module):
    """The network: ``forward(spectrogram, conditioning) -> masks``.

    Args:
        front: its transform, of ``64 n + 1`` bins.
    """

    def __init__(self, front: Spectrogram = AUDIOSEP_FRONT) -> None:
        super().__init__()
        self.front = front
        self.base = ResUNet(front.bins)
        self.film = nn.ModuleDict(
            {name: nn.Linear(CLAP_SIZE, size) for name, size in self.base.shifted.items()}
        )

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns query embeddings ``(..., 512)``, of length 1, into shifts ``(..., 8256)``."""
        return torch.cat([layer(embedding) for layer in self.film.values()], dim=-1)

    def forward(
        self, spectrogram: Tensor, conditioning: Tensor, want: Span | None = None
    ) -> Tensor:
        """Separates clips.

        Args:
            spectrogram: ``(batch, bins, frames, 2)`` float32.
            conditioning: ``(queries, size)``, see :meth:`condition`.
            want: the frames to make masks for; all, if None. Fewer cost less and are the same.

        Returns:
            Complex masks ``(batch, queries, bins, frames, 2)``, of absolute values in [0, 1]; 0 in
            the last bin, which the network does not hear.
        """
        batch, bins, frames, _ = spectrogram.shape
        want = want or Span.whole(frames)
        heard = self._hear(spectrogram)
        each = heard.repeat_interleave(conditioning.shape[0], dim=0)  # the first block has shifts
        shifts = conditioning.repeat(batch, 1)[..., None, None]
        sizes = list(self.base.shifted.values())
        named = dict(zip(self.base.shifted, shifts.split(sizes, dim=1), strict=True))
        out = self.base(each, named, Span(want.start, want.stop, heard.shape[2]))
        masks = _masks(out).permute(0, 3, 2, 1)
        masks = functional.pad(masks, (0, 0, 0, 0, 0, bins - masks.shape[1]))
        separated: Tensor = masks.unflatten(0, (batch, -1))
        return separated

    def _hear(self, spectrogram: Tensor) -> Tensor:
        """Normed magnitudes ``(batch, 1, frames, bins - 1)``, frames filled up with zeros."""
        power = spectrogram.square().sum(-1)
        magnitude = torch.sqrt(power.clamp(min=_FLOOR))[..., None]
        normed = self.base.bn0(magnitude).permute(0, 3, 2, 1)
        return functional.pad(normed[..., :-1], (0, 0, 0, -normed.shape[2] % _BLOCK))


def _masks(out: Tensor) -> Tensor:
    """From ``(batch, 3, ...)`` to real and imaginary parts ``(batch, 2, ...)``."""
    turn = torch.tanh(out[:, 1:])
    length = torch.sqrt(turn.square().sum(1, keepdim=True)).clamp(min=_FLOOR)
    return torch.sigmoid(out[:, :1]) * turn / length
