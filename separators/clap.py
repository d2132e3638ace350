"""LAION-CLAP (Wu et al. 2023): texts and sounds to embeddings in one space.

From the files that its authors published for music, and for music and speech (HTSAT-base,
RoBERTa-base, no fusion), or from a separator's checkpoint that holds one of them. CLAPSep is
queried with embeddings of the first, AudioSep with those of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .checkpoint_files import State, read_file, unwrap
from .clap_audio import ClapAudio
from .clap_text import DIMENSION, ClapText
from .clap_tokens import Tokeniser
from .hub import fetch
from .libraries import no_weights

Branch = TypeVar("Branch", ClapText, ClapAudio)

CLAP = "laion-clap"
CLAP_SPEECH = "laion-clap/music-speech"
FILES = {
    CLAP: "music_audioset_epoch_15_esc_90.14.pt",
    CLAP_SPEECH: "music_speech_audioset_epoch_15_esc_89.98.pt",
}
"""The encoders by name, and the files that hold them."""

_HUB = "lukewys/laion_clap"
# AudioSep's checkpoints and those of CLAPSep's own training hold all of CLAP.
_PLACES = ("", "query_encoder.model.", "clap_model.model.")


class Clap:
    """Both branches on the CPU, each loaded when it is first asked for.

    Args:
        weights: the published file, or a separator's with CLAP in it; None: from the hub, 2.4 GB.
        vocabulary: see :class:`~.clap_tokens.Tokeniser`.
        name: which of :data:`FILES` it is.

    Attributes:
        state: its tensors, by the names in the published file.

    Raises:
        ImportError: a library is not installed.
        OSError: the weights can be had neither from this machine nor from the hub.
        ValueError: the file is no CLAP checkpoint.
    """

    dimension = DIMENSION

    def __init__(
        self, weights: Path | None = None, vocabulary: str | None = None, name: str = CLAP
    ) -> None:
        self.name = name
        self._path = _from_hub(name) if weights is None else weights
        self._vocabulary = vocabulary
        state = unwrap(read_file(self._path)) or {}
        places = [place for place in _PLACES if f"{place}text_projection.0.weight" in state]
        if not places:
            raise ValueError(f"{self._path} is no checkpoint of LAION-CLAP")
        self.state: State = {
            key.removeprefix(places[0]): state[key] for key in state if key.startswith(places[0])
        }

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings ``(texts, 512)`` float32, each row of Euclidean length 1."""
        return self.encode_tokens(self.tokeniser(texts))

    @torch.no_grad()
    def encode_tokens(self, ids: Tensor) -> NDArray[np.float32]:
        """As :meth:`encode`, of token numbers ``(texts, 77)`` padded with 1."""
        _, embeddings = self.text(ids)
        return np.asarray(embeddings.numpy(), dtype=np.float32)

    @torch.no_grad()
    def encode_sounds(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embeddings ``(sounds, 512)``, of length 1, of mono sounds ``(samples,)`` at 48 kHz."""
        rows = [self.audio(torch.from_numpy(sound)[None])[0] for sound in sounds]
        return np.asarray(torch.stack(rows).numpy(), dtype=np.float32)

    @cached_property
    def tokeniser(self) -> Tokeniser:
        """Texts to token numbers."""
        return Tokeniser(self._vocabulary)

    @cached_property
    def text(self) -> ClapText:
        """The text branch."""
        return self._branch(ClapText.from_state, "text")

    @cached_property
    def audio(self) -> ClapAudio:
        """The audio branch."""
        return self._branch(ClapAudio.from_state, "audio")

    @property
    def log_scale(self) -> Tensor:
        """Ln of what similarities of sounds to texts are multiplied by, ``logit_scale_a``.

        Raises:
            ValueError: the file does not hold it.
        """
        if "logit_scale_a" not in self.state:
            raise ValueError(f"{self._path} is no checkpoint of LAION-CLAP: missing logit_scale_a")
        return self.state["logit_scale_a"]

    def _branch(self, load: Callable[[State], Branch], part: str) -> Branch:
        own = f"{part}_branch.", f"{part}_projection."
        try:
            return load({key: self.state[key] for key in self.state if key.startswith(own)})
        except ValueError as error:
            raise ValueError(f"{self._path} is no checkpoint of LAION-CLAP: {error}") from error


def _from_hub(name: str) -> Path:
    file = FILES[name]
    try:
        return fetch(_HUB, [file]) / file
    except OSError as error:
        raise OSError(f"{no_weights(name, _HUB, error)}; give the file {file}") from error
