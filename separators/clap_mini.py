"""A small joint model of sounds and words, for where LAION-CLAP's weights cannot be had.

Sounds by a convolutional network on log-mel spectrograms, as the audio encoder of Kong et al.'s
"PANNs" (2020) is built; words by a dense layer on sentence embeddings that are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .checkpoint_files import check_finite, read_file
from .clap_audio import log_mel
from .clap_text import projection
from .htsat import BANDS

RATE = 16_000
"""Sample rate of sounds, Hertz."""

HOP = 256
"""Samples between frames."""

_FLOOR = 1e-5
"""Power of a band below which nothing is heard: some 60 dB below a loud sound."""
_SCALE = 14.3, 100.0
"""Of the similarities: at the start, and at most, as CLIP and CLAP have them."""


@dataclass(frozen=True)
class ClapMiniSizes:
    """Sizes of a :class:`ClapMini`.

    Attributes:
        width: channels of the first level, which double from level to level.
        levels: each halves bands and frames.
        embedding: of the joint space.
        words: length of the sentence embeddings.
    """

    width: int = 32
    levels: int = 4
    embedding: int = 128
    words: int = 384


class SentenceClap(nn.Module):
    """Sounds and sentence embeddings to vectors of length 1 in one space.

    Attributes:
        rate: of sounds, Hertz.
        text_projection: of sentence embeddings.
        log_scale: ln of what similarities are multiplied by.
    """

    rate: int
    text_projection: nn.Module
    log_scale: nn.Parameter

    def sounds(self, audio: Tensor) -> Tensor:
        """Embeds sounds ``(sounds, samples)``: ``(sounds, embedding)``."""
        raise NotImplementedError

    def texts(self, embeddings: Tensor) -> Tensor:
        """Embeds sentence embeddings ``(texts, words)``: ``(texts, embedding)``."""
        return functional.normalize(self.text_projection(embeddings), dim=-1)

    @property
    def bounded_log_scale(self) -> Tensor:
        """Ln of what similarities are multiplied by, no more than of 100."""
        return self.log_scale.clamp(max=float(torch.tensor(_SCALE[1]).log()))


class ClapMini(SentenceClap):
    """The one with the convolutional network."""

    rate = RATE

    def __init__(self, sizes: ClapMiniSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = [1, *(sizes.width << n for n in range(sizes.levels))]
        self.norm = nn.BatchNorm1d(BANDS)
        self.levels = nn.Sequential(*(_level(taken, given) for taken, given in pairwise(widths)))
        heard = widths[-1] * (BANDS >> sizes.levels)
        self.audio_projection = projection(heard, sizes.embedding)
        self.text_projection = projection(sizes.words, sizes.embedding)
        self.log_scale = nn.Parameter(torch.tensor(_SCALE[0]).log())

    def sounds(self, audio: Tensor) -> Tensor:
        """Embeds sounds ``(sounds, samples)`` at 16 kHz, of ``2 ** levels`` frames or more.

        Returns:
            ``(sounds, embedding)``.
        """
        mel = log_mel(audio, rate=RATE, hop=HOP, high=RATE / 2, floor=_FLOOR)
        x = self.levels(self.norm(mel.transpose(1, 2))[:, None]).flatten(1, 2)
        return functional.normalize(self.audio_projection(x.mean(-1) + x.amax(-1)), dim=-1)


def _level(taken: int, given: int) -> nn.Sequential:
    conv = nn.Conv2d(taken, given, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(given), nn.ReLU(), nn.AvgPool2d(2))


def to_checkpoint(network: ClapMini, encoder: str) -> dict[str, Any]:
    """What :func:`from_checkpoint` reads; ``encoder`` made the sentence embeddings."""
    return {
        "sizes": asdict(network.sizes),
        "encoder": encoder,
        "weights": network.state_dict(),
    }


def from_checkpoint(path: Path) -> tuple[ClapMini, str] | None:
    """A trained model, in evaluation mode, and its text encoder; None for a file of another kind.

    Raises:
        ValueError: it cannot be read, or tensors do not fit.
    """
    saved = read_file(path)
    if not isinstance(saved, Mapping) or not {"sizes", "encoder", "weights"} <= saved.keys():
        return None
    try:
        network = ClapMini(ClapMiniSizes(**saved["sizes"]))
        network.load_state_dict(saved["weights"])
        check_finite(saved["weights"])
    except Exception as error:  # type, key and shape faults share no base class
        reason = str(error).partition("\n")[0][:160]
        raise ValueError(f"{path} is no checkpoint of clap-mini ({reason})") from error
    return network.eval(), str(saved["encoder"])
