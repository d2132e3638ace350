"""CLAP's audio branch (Wu et al. 2023): log-mel front end, HTSAT, a projection.

HTSAT (Chen et al. 2022) is a Swin transformer on a spectrogram folded into a square. It is the
library transformers' own, in the size of LAION's music checkpoint (HTSAT-base, no fusion); the
published tensors are loaded under the library's names, with queries, keys and values apart.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .checkpoint_files import State, fill
from .clap_text import DIMENSION, projection
from .clap_tokens import no_transformers
from .htsat import BANDS

RATE = 48_000
"""Sample rate of sounds, Hertz."""

CLIP = 10 * RATE
"""Samples of a sound; shorter ones are repeated, longer ones cut."""

HIGH = 14_000.0
"""Upper end of the highest band, Hertz."""

_TABLES = ("relative_position_index", "attn_mask")  # by formula here
_LEFT = (
    "tscam_conv.",  # the classifier of AudioSet's tags
    "head.",
    "spectrogram_extractor.",  # the front end, by formula here
    "logmel_extractor.",
)
_NAMES = {  # of the published tensors, and of the library's
    "bn0.": "batch_norm.",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
    ".attn.proj.": ".attention.output.dense.",
    ".attn.": ".attention.self.",
    ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
}


class ClapAudio(nn.Module):
    """CLAP's audio branch: log-mel spectrogram, HTSAT-base, mean over its cells, a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_branch = _htsat()
        self.audio_projection = projection(1024, DIMENSION)

    @classmethod
    def from_state(cls, state: State) -> ClapAudio:
        """Loads a branch.

        Args:
            state: ``audio_branch.*`` and ``audio_projection.*`` of a CLAP checkpoint, all of them.
                Its classifier is not used; its front end and index tables follow from formulas.

        Raises:
            ValueError: keys are missing, unknown, or of another shape.
            ImportError: transformers is not installed.
        """
        model = cls()
        own = {key: table for key, table in model.state_dict().items() if key.endswith(_TABLES)}
        fill(model, own | _as_transformers(state))
        return model.eval()

    def forward(self, audio: Tensor) -> Tensor:
        """Embeds sounds ``(sounds, samples)`` at 48 kHz: ``(sounds, 512)`` of length 1."""
        mel = log_mel(repeated(audio, CLIP))
        pooled = self.audio_branch(input_features=mel[:, None]).pooler_output
        return functional.normalize(self.audio_projection(pooled), dim=-1)


def repeated(audio: Tensor, samples: int) -> Tensor:
    """Sounds of exactly ``samples``: whole repetitions and then zeros, or cut at the end.

    The published code cuts a random part out of a longer sound; the first is as good and the same
    each time.
    """
    audio = audio.repeat(1, max(samples // audio.shape[-1], 1))[..., :samples]
    return functional.pad(audio, (0, samples - audio.shape[-1]))


def log_mel(
    audio: Tensor,
    *,
    rate: int = RATE,
    hop: int = 480,
    high: float = HIGH,
    floor: float = 1e-10,
) -> Tensor:
    """Log-mel spectrogram ``(sounds, 1 + samples // hop, 64)`` in dB of ``(sounds, samples)``.

    Power of 1024-point frames every ``hop`` samples (periodic Hann, centred, reflected), 64 bands
    of Slaney's mel scale from 50 to ``high`` Hz with unit area, 10 log10 with a floor.
    """
    window = torch.hann_window(1024).to(audio)
    spectrum = torch.stft(audio, 1024, hop, window=window, pad_mode="reflect", return_complex=True)
    power = spectrum.abs().square().transpose(1, 2)
    return 10 * torch.log10((power @ mel_bands(rate, high).to(power)).clamp(min=floor))


@cache
def mel_bands(rate: int = RATE, high: float = HIGH) -> Tensor:
    """Weights ``(513, 64)`` of the powers of a frame's bins in each band, up to ``high`` Hz."""
    from transformers.audio_utils import mel_filter_bank

    bands: NDArray[np.float64] = mel_filter_bank(
        num_frequency_bins=513,
        num_mel_filters=BANDS,
        min_frequency=50,
        max_frequency=high,
        sampling_rate=rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(bands).float()


def _htsat() -> nn.Module:
    try:
        from transformers import ClapAudioConfig, ClapAudioModel
    except ImportError as error:
        raise no_transformers(error) from error

    config = ClapAudioConfig(
        depths=[2, 2, 12, 2],
        num_attention_heads=[4, 8, 16, 32],
        patch_embeds_hidden_size=128,
        hidden_size=1024,
    )
    return ClapAudioModel(config)


def _as_transformers(state: State) -> dict[str, Tensor]:
    """The tensors under the names of the library."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        part, _, name = key.partition(".")
        if part != "audio_branch":
            renamed[key] = tensor
        elif not name.startswith(_LEFT) and not name.endswith(_TABLES):
            renamed |= {
                f"audio_branch.audio_encoder.{_library_name(own)}": piece
                for own, piece in _apart(name, tensor).items()
            }
    return renamed


def _apart(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Queries, keys and values of an attention as three tensors; others as they are."""
    if ".attn.qkv." not in name:
        return {name: tensor}
    parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
    return {name.replace(".qkv.", f".{part}."): piece for part, piece in parts}


def _library_name(name: str) -> str:
    for published, library in _NAMES.items():
        name = name.replace(published, library)
    return name
