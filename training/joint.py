"""What weak supervision leans on: a frozen model of sounds and words in one space.

LAION-CLAP as its authors published it, or ``clap-mini``, which is trained here; and texts as the
bi-modal separator is told them, by the first's text branch or by plain sentence embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..separators.bimodal_phrases import Phrase, encode
from ..separators.clap import Clap
from ..separators.clap_audio import RATE as CLAP_RATE
from ..separators.clap_mini import RATE, ClapMini, from_checkpoint
from ..separators.clap_tokens import POSITIONS
from .phrases import embed

_REMEMBERED = 20_000
"""Texts that are not encoded again."""


class Texts(Protocol):
    """Texts as the separator is told them."""

    def phrase(self, text: str) -> Phrase:
        """A text's token states and embedding, on the CPU."""


class Joint(Protocol):
    """A frozen model: sounds and texts to vectors of length 1."""

    def log_scale(self) -> Tensor:
        """Ln of what similarities are multiplied by; scalar."""

    def sounds(self, audio: Tensor) -> Tensor:
        """``(sounds, samples)`` at 16 kHz to ``(sounds, size)``; gradients pass."""

    def texts(self, texts: Sequence[str]) -> Tensor:
        """``(texts, size)``, on any device."""


class Sentences:
    """A text is its sentence embedding, which stands at every position that is attended to.

    Where CLAP's text branch cannot be had: attention has one thing to look at, so that the words
    shift the maps at the levels that attend, and weigh those at the end.
    """

    def __init__(self, encoder: str) -> None:
        self.encoder = encoder
        self.phrase = lru_cache(_REMEMBERED)(self._encode)

    def _encode(self, text: str) -> Phrase:
        vector = torch.from_numpy(embed([text], self.encoder)[text])
        return Phrase(vector[None], torch.tensor([float(POSITIONS)]), vector)


class Mini:
    """``clap-mini``."""

    def __init__(self, network: ClapMini, encoder: str) -> None:
        self.network, self.sentences = network.requires_grad_(False), Sentences(encoder)

    def log_scale(self) -> Tensor:
        return self.network.bounded_log_scale

    def sounds(self, audio: Tensor) -> Tensor:
        return self.network.to(audio.device).sounds(audio)

    def texts(self, texts: Sequence[str]) -> Tensor:
        rows = torch.stack([self.sentences.phrase(text).embedding for text in texts])
        return self.network.texts(rows.to(self.network.log_scale.device))


class Laion:
    """LAION-CLAP."""

    def __init__(self, clap: Clap) -> None:
        self.clap = clap
        clap.text.requires_grad_(False)
        clap.audio.requires_grad_(False)
        self.phrase = lru_cache(_REMEMBERED)(self._encode)

    def log_scale(self) -> Tensor:
        return self.clap.log_scale

    def sounds(self, audio: Tensor) -> Tensor:
        times = CLAP_RATE // RATE
        resampled = torch.fft.irfft(times * torch.fft.rfft(audio), times * audio.shape[-1])
        embeddings: Tensor = self.clap.audio.to(audio.device)(resampled)
        return embeddings

    def texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([self.phrase(text).embedding for text in texts])

    def _encode(self, text: str) -> Phrase:
        return encode(self.clap.text, self.clap.tokeniser([text]))[0]


def open_joint(path: Path, vocabulary: Path | None = None) -> Mini | Laion:
    """Loads a joint model.

    Args:
        path: a checkpoint of ``soloist train clap-mini``, or LAION-CLAP's file, or a separator's
            checkpoint with it inside.
        vocabulary: folder with LAION-CLAP's; None: from the hub.

    Raises:
        ValueError: it is none of these.
        ImportError: a library is not installed.
        OSError: the vocabulary cannot be had.
    """
    mini = from_checkpoint(path)
    if mini is not None:
        return Mini(*mini)
    return Laion(Clap(path, None if vocabulary is None else str(vocabulary)))
