"""The listener: which of the sounds that a separator knows are there, heard once in a while.

A separator that answers within milliseconds has little time to find out what it hears, and what
three hours of recordings can teach it. The listener hears the last second, a few times a second
only, and begins with what YAMNet learned from AudioSet. What it finds is taken off the words, see
``streaming.listening``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .checkpoint_files import check_finite, read_file
from .checkpoints import Checkpoint
from .yamnet import BINS, EMBEDDING, FRAMES, HOP, N_FFT, RATE, WINDOW, Yamnet

HIDDEN = 512


class Listener(nn.Module):
    """Magnitudes of the last second to the presence of each class.

    Args:
        classes: their names, in the order of what comes out.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.trunk = Yamnet()
        self.norm = nn.LayerNorm(EMBEDDING)
        self.hidden = nn.Linear(EMBEDDING, HIDDEN)
        self.presence = nn.Linear(HIDDEN, len(self.classes))
        # rare, as most classes are in most mixtures: else the first steps learn nothing but that
        nn.init.constant_(self.presence.bias, -4.0)

    def forward(self, magnitudes: Tensor, dropout: float = 0.0) -> Tensor:
        """Hears patches.

        Args:
            magnitudes: ``(batch, FRAMES, BINS)``, see :func:`spectrum`.
            dropout: share of the features that are left out, for training.

        Returns:
            Logits of each class's presence, ``(batch, classes)``.
        """
        # what a trunk of rectifiers makes is mostly small, with some large ones
        x = self.norm(torch.log1p(10 * self.trunk(magnitudes)))
        x = functional.relu(self.hidden(functional.dropout(x, dropout, dropout > 0)))
        logits: Tensor = self.presence(functional.dropout(x, dropout, dropout > 0))
        return logits


def spectrum(audio: Tensor, sample_rate: int = RATE) -> Tensor:
    """The spectrum whose magnitudes YAMNet hears, at any multiple of its rate.

    Frames are as long, and bins as wide, at each rate; those above 8 kHz are left out.

    Args:
        audio: ``(..., samples)`` float32, full scale 1.0.
        sample_rate: Hz, a multiple of 16 kHz.

    Returns:
        ``(..., frames, BINS)`` complex64.
    """
    times, rest = divmod(sample_rate, RATE)
    assert rest == 0, sample_rate
    frames = audio.unfold(-1, times * WINDOW, times * HOP)
    window = torch.hann_window(times * WINDOW, device=audio.device) / times
    whole: Tensor = torch.fft.rfft(frames * window, times * N_FFT)
    return whole[..., :BINS]


def to_checkpoint(listener: Listener) -> dict[str, Any]:
    """What :func:`load_listener` reads, but for the facts; weights in float16."""
    weights = {name: tensor.half() for name, tensor in listener.state_dict().items()}
    return {"classes": list(listener.classes), "weights": weights}


def load_listener(path: Path) -> Checkpoint[Listener]:
    """Reads a checkpoint of ``soloist train listener``.

    Raises:
        ValueError: it is none, or its weights are not finite.
    """
    saved = read_file(path)
    try:
        weights: Mapping[str, Tensor] = saved["weights"]
        check_finite(weights)
        listener = Listener(saved["classes"])
        listener.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        facts = saved["facts"]
        curve = facts["curve"]
    except Exception as error:  # type, key and shape faults share no base class
        reason = str(error).partition("\n")[0][:160]
        raise ValueError(f"{path} is no checkpoint of a listener ({reason})") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Checkpoint("listener", listener.eval(), facts, digest, curve)


PATCH = (FRAMES - 1) * HOP + WINDOW
"""Samples that a patch takes, at 16 kHz: 0.975 s."""
