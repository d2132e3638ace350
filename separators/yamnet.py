"""YAMNet: the trunk of Google's classifier of everyday sounds, learned from AudioSet.

Hershey et al., "CNN architectures for large-scale audio classification" (ICASSP 2017); its body is
MobileNet v1 (Howard et al. 2017). It hears 0.975 s at 16 kHz as 96 frames of 64 mel bands and makes
1024 numbers of them. Norms are folded into the products, which gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

RATE = 16_000
FRAMES = 96
WINDOW, HOP, N_FFT = 400, 160, 512
"""Of its front end, samples at 16 kHz."""
BINS = N_FFT // 2 + 1
EMBEDDING = 1024
STRIDES_AND_CHANNELS = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *[(1, 512)] * 5,
    (2, 1024),
    (1, 1024),
)

_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 64, 125.0, 7500.0
_LOG_OFFSET = 1e-3
_NORM_EPSILON = 1e-4


def mel_matrix() -> Tensor:
    """Triangles over magnitudes, ``(bins, bands)``, on the HTK mel scale, of height one."""
    frequencies = np.arange(BINS) * (RATE / N_FFT)
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), _BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    mels = _mel(frequencies)[:, None]
    rise, fall = (mels - low) / (centre - low), (high - mels) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    triangles[0] = 0.0  # the constant part belongs to no band
    return torch.from_numpy(triangles.astype(np.float32))


def _mel(hertz: float | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))


class Yamnet(nn.Module):
    """Magnitudes to embeddings, without YAMNet's own classes."""

    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel", mel_matrix(), persistent=False)
        self.first = nn.Conv2d(1, 32, 3, 2)
        self.depthwise, self.pointwise = nn.ModuleList(), nn.ModuleList()
        channels = 32
        for stride, out in STRIDES_AND_CHANNELS:
            self.depthwise.append(nn.Conv2d(channels, channels, 3, stride, groups=channels))
            self.pointwise.append(nn.Conv2d(channels, out, 1))
            channels = out

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Hears patches.

        Args:
            magnitudes: ``(batch, frames, bins)`` float32, of full scale 1.0 at 16 kHz.

        Returns:
            ``(batch, EMBEDDING)`` float32, not negative.
        """
        x = torch.log(magnitudes @ self.mel + _LOG_OFFSET)[:, None]
        x = functional.relu(self.first(_same(x, 2)))
        strides = [stride for stride, _ in STRIDES_AND_CHANNELS]
        for stride, depthwise, pointwise in zip(
            strides, self.depthwise, self.pointwise, strict=True
        ):
            x = functional.relu(depthwise(_same(x, stride)))
            x = functional.relu(pointwise(x))
        return x.mean((2, 3))


def _same(x: Tensor, stride: int) -> Tensor:
    """TensorFlow's padding ``SAME`` for a kernel of 3 over an even number of frames and bands."""
    return functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))


def fold(layers: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """Weights of :class:`Yamnet` from the variables of the published network.

    Args:
        layers: ``"N/name"`` to an array, N being the number of the Keras layer that has weights:
            of the first convolution and of each half of the later ones, its norm the next number.
    """
    state: dict[str, Tensor] = {}
    number = 0
    _fold(state, "first", layers, number, "kernel")
    for index in range(len(STRIDES_AND_CHANNELS)):
        number += 2
        _fold(state, f"depthwise.{index}", layers, number, "depthwise_kernel")
        number += 2
        _fold(state, f"pointwise.{index}", layers, number, "kernel")
    return state


def _fold(
    state: dict[str, Tensor],
    name: str,
    layers: Mapping[str, NDArray[np.float32]],
    number: int,
    kernel: str,
) -> None:
    """A convolution without bias and the norm after it, which has no scale, as one with a bias."""
    order = (2, 3, 0, 1) if kernel == "depthwise_kernel" else (3, 2, 0, 1)
    weight = layers[f"{number}/{kernel}"].transpose(order)
    gain = 1 / np.sqrt(layers[f"{number + 1}/moving_variance"] + _NORM_EPSILON)
    bias = layers[f"{number + 1}/beta"] - gain * layers[f"{number + 1}/moving_mean"]
    state[f"{name}.weight"] = torch.from_numpy(weight * gain[:, None, None, None]).contiguous()
    state[f"{name}.bias"] = torch.from_numpy(bias)
