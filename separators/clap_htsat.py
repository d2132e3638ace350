"""CLAP of any size: what CLAPSep adapts where LAION's weights cannot be had, or are too large.

Sounds by an HTSAT, as in LAION-CLAP; words by a dense layer on sentence embeddings that are made
elsewhere.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import htsat
from .checkpoint_files import State, fill, read_file, size, unwrap
from .clap_audio import CLIP, RATE, log_mel, repeated
from .clap_mini import SentenceClap
from .clap_text import DIMENSION, projection
from .clapsep_checkpoint import encoder_of, encoder_sizes

_SILENCE_DB = -100.0
_SCALE = 1 / 0.07
"""Of the similarities at the start, as CLIP and CLAP have it."""


class ClapHtsat(SentenceClap):
    """The one with an HTSAT.

    Args:
        sizes: of the encoder. It hears as much at once as CLAPSep of its size does, 10 s of 1024
            frames; a longer sound is heard piece by piece.
        words: length of the sentence embeddings.
    """

    rate = RATE

    def __init__(self, sizes: htsat.Sizes, words: int) -> None:
        super().__init__()
        self.frames = sizes.frames
        self.samples = CLIP * sizes.frames // htsat.BASE.frames
        self.audio_branch = htsat.HTSAT(sizes)
        self.norm = nn.LayerNorm(sizes.widths[-1])
        self.audio_projection = projection(sizes.widths[-1], DIMENSION)
        self.text_projection = projection(words, DIMENSION)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_SCALE)))

    def sounds(self, audio: Tensor) -> Tensor:
        """Embeds sounds ``(sounds, samples)`` at 48 kHz: ``(sounds, 512)``."""
        count = max(audio.shape[-1] // self.samples, 1)
        pieces = repeated(audio, count * self.samples).reshape(-1, self.samples)
        mel = log_mel(pieces).transpose(1, 2)
        mel = functional.pad(mel, (0, self.frames - mel.shape[-1]), value=_SILENCE_DB)
        heard = self.norm(self.audio_branch(mel)[-1].flatten(1, 2)).mean(1)
        pooled = heard.unflatten(0, (-1, count)).mean(1)
        return functional.normalize(self.audio_projection(pooled), dim=-1)


def to_checkpoint(network: ClapHtsat, encoder: str) -> dict[str, Any]:
    """What :func:`from_checkpoint` reads; ``encoder`` made the sentence embeddings."""
    return {"state_dict": network.state_dict(), "encoder": encoder}


def from_checkpoint(path: Path) -> tuple[ClapHtsat, str] | None:
    """A trained model, in evaluation mode, and its text encoder; None for a file of another kind.

    Raises:
        ValueError: it cannot be read, or tensors do not fit.
    """
    saved = read_file(path)
    state: State | None = unwrap(saved)
    if state is None or "encoder" not in saved or "audio_branch.bn0.weight" not in state:
        return None
    try:
        sizes = encoder_sizes(encoder_of(state))
        network = ClapHtsat(sizes, size(state, "text_projection.0.weight", 1))
        fill(network, state)
    except ValueError as error:
        raise ValueError(f"{path} is no checkpoint of clap-htsat: {error}") from error
    return network.eval(), str(saved["encoder"])
