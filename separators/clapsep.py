"""CLAPSep: what to keep and what to leave, in words or by example (Ma et al. 2024).

"CLAPSep: Leveraging Contrastive Pre-trained Model for Multi-Modal Query-Conditioned Target Sound
Extraction", arXiv 2402.17455. A query is the embedding by LAION-CLAP of what is wanted, beside that
of what is not; either may be missing, each may be of texts, of sounds, or of both. The encoder is
CLAP's own, adapted, and does not know the query: several queries of one recording share it. Its
audio is heard twice: as magnitudes at 32 kHz, and as a log-mel picture at 48 kHz.

The network hears a block as a whole, at most 10.24 s, and no audio after a block shorter than that:
as in training, silence stands there. A mask multiplies magnitudes; the mixture's phase is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import htsat
from .clap_text import DIMENSION
from .clapsep_decoder import HEADS, Decoder
from .clapsep_mel import LogMel
from .columns import Span
from .spectrogram import Spectrogram, magnitude

CLAPSEP_FRONT = Spectrogram(32_000, 1024, 320, 320_000, "reflect")
"""Its transform; blocks of 10 s, as in training."""


@dataclass(frozen=True)
class Sizes:
    """How large a network is; by default as published.

    Attributes:
        encoder: of CLAP's encoder, and of the way up beside it.
        width, layers: of the transformer over frames; the width is a multiple of 8.

    Raises:
        ValueError: there is no network of such a size.
    """

    encoder: htsat.Sizes = htsat.BASE
    width: int = 640
    layers: int = 3

    def __post_init__(self) -> None:
        if self.width < HEADS or self.width % HEADS or self.layers < 1:
            raise ValueError(
                f"{self.layers} layers of {self.width} numbers; it takes one or more, of multiples "
                f"of {HEADS}"
            )

    @property
    def front(self) -> Spectrogram:
        """The usual transform: blocks of 10 s, or of the share of them that the encoder hears."""
        clip = CLAPSEP_FRONT.clip * self.encoder.frames // htsat.BASE.frames
        return replace(CLAPSEP_FRONT, clip=clip)


PUBLISHED = Sizes()


class CLAPSep(nn.Module):
    """The network: ``forward(spectrogram, conditioning) -> masks``.

    Args:
        front: its transform, of which only the length of a block may differ; None: the usual one.
        like: another one, whose weights it shares; None: weights of its own.
        sizes: of a network with weights of its own.

    Raises:
        ValueError: the block is longer than what the encoder hears, 1024 frames of the published
            one; or the transform is another.
    """

    def __init__(
        self,
        front: Spectrogram | None = None,
        like: CLAPSep | None = None,
        sizes: Sizes = PUBLISHED,
    ) -> None:
        super().__init__()
        self.sizes: Sizes = sizes if like is None else like.sizes
        front, frames = front or self.sizes.front, self.sizes.encoder.frames
        usual = CLAPSEP_FRONT
        found = front.sample_rate, front.n_fft, front.hop, front.padding
        wanted = usual.sample_rate, usual.n_fft, usual.hop, usual.padding
        if found != wanted:
            raise ValueError(f"CLAPSep's transform is {wanted}, not {found}")
        if not front.n_fft <= front.clip or front.frames > frames:
            raise ValueError(f"a block of {front.frames} frames; CLAPSep hears up to {frames}")
        self.front = front
        self.mel = LogMel(front, frames)
        if like is None:
            self.audio_branch = htsat.HTSAT(sizes.encoder)
            self.decoder_model = Decoder(front.bins, sizes.encoder, sizes.width, sizes.layers)
        else:
            self.audio_branch, self.decoder_model = like.audio_branch, like.decoder_model

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns queries ``(..., 1024)``, see :func:`query`, into conditioning ``(..., size)``."""
        return self.decoder_model.condition(embedding)

    def forward(
        self, spectrogram: Tensor, conditioning: Tensor, want: Span | None = None
    ) -> Tensor:
        """Separates blocks.

        Args:
            spectrogram: ``(batch, 513, frames, 2)`` float32, frames of ``front``.
            conditioning: ``(queries, size)``; or ``(batch, queries, size)``, each block its own.
            want: the frames to make masks for; all, if None. Fewer cost less and are the same.

        Returns:
            Masks ``(batch, queries, 513, frames, 1)`` in [0, 1].
        """
        heard = self.audio_branch(self.mel(spectrogram))
        want = want or Span.whole(spectrogram.shape[2])
        masks: Tensor = self.decoder_model(magnitude(spectrogram), heard, conditioning, want)
        return masks[..., None]


def query(positive: Tensor | None, negative: Tensor | None = None) -> Tensor:
    """Joins what is wanted and what is not.

    Args:
        positive, negative: ``(..., 512)`` embeddings by LAION-CLAP; or None.

    Returns:
        ``(..., 1024)`` of length 1, zeros for a half that is missing.

    Raises:
        ValueError: both are missing, or there is nothing in either.
    """
    given = positive if positive is not None else negative
    if given is None:
        raise ValueError("a query needs something to keep or something to leave")
    if given.shape[-1] != DIMENSION:
        raise ValueError(f"an embedding of {given.shape[-1]} numbers; CLAP's have {DIMENSION}")
    halves = [torch.zeros_like(given) if half is None else half for half in (positive, negative)]
    joined = torch.cat(halves, dim=-1)
    if not joined.any(-1).all():
        raise ValueError("a query of nothing but zeros asks for nothing")
    return functional.normalize(joined, dim=-1)
