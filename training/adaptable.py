"""What CLAPSep adapts and is asked by: LAION-CLAP, or ``clap-htsat``, which is trained here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..separators.checkpoint_files import State
from ..separators.clap import Clap
from ..separators.clap_htsat import ClapHtsat, from_checkpoint
from .phrases import embed

Samples = NDArray[np.float32]
Rows = NDArray[np.float32]


class Adaptable(Protocol):
    """A joint model of texts and sounds whose audio encoder is an HTSAT.

    Attributes:
        state: the encoder's tensors ``audio_branch.*``, and others.
    """

    @property
    def state(self) -> State: ...

    def encode(self, texts: Sequence[str]) -> Rows:
        """Embeddings ``(texts, 512)``, each of length 1."""

    def encode_sounds(self, sounds: Sequence[Samples]) -> Rows:
        """The same of sounds ``(samples,)`` at 48 kHz."""


class Small:
    """``clap-htsat``."""

    def __init__(self, network: ClapHtsat, encoder: str) -> None:
        self.network, self.encoder = network, encoder
        self.state: State = network.state_dict()

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Rows:
        found = embed(set(texts), self.encoder)
        rows = torch.from_numpy(np.stack([found[text] for text in texts]))
        return np.asarray(self.network.texts(rows).numpy(), dtype=np.float32)

    @torch.no_grad()
    def encode_sounds(self, sounds: Sequence[Samples]) -> Rows:
        rows = [self.network.sounds(torch.from_numpy(sound)[None])[0] for sound in sounds]
        return np.asarray(torch.stack(rows).numpy(), dtype=np.float32)


def open_adaptable(path: Path, vocabulary: str | None = None) -> Adaptable:
    """Loads a joint model.

    Args:
        path: a checkpoint of ``soloist train clap-htsat``; or LAION-CLAP's file.
        vocabulary: LAION-CLAP's, see :class:`~..separators.clap_tokens.Tokeniser`.

    Raises:
        ValueError: it is neither.
        ImportError: a library is not installed.
        OSError: the vocabulary cannot be had.
    """
    small = from_checkpoint(path)
    if small is not None:
        return Small(*small)
    try:
        return Clap(path, vocabulary)
    except ValueError as error:
        raise ValueError(f"{error}, and none of clap-htsat") from error
