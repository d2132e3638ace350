"""The spectral front end that the published separators share: a centred STFT of a whole clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Spectrogram:
    """A centred STFT with a periodic Hann window, and its least-squares inverse.

    Attributes:
        sample_rate: Hz.
        n_fft: length of the window, samples.
        hop: samples between frames; frame ``k`` is centred on sample ``k * hop``.
        clip: samples of a clip in training, and of a window in play.
        padding: what stands beyond the ends of a clip, half a window on each side: silence, or the
            clip mirrored.
    """

    sample_rate: int
    n_fft: int
    hop: int
    clip: int
    padding: Literal["zeros", "reflect"]

    @property
    def bins(self) -> int:
        """Number of frequency bins, ``n_fft / 2 + 1``."""
        return self.n_fft // 2 + 1

    @property
    def frames(self) -> int:
        """Number of frames of one clip."""
        return 1 + self.clip // self.hop

    def analyse(self, audio: Tensor) -> Tensor:
        """Transforms a clip of any length.

        Args:
            audio: ``(..., samples)`` float32.

        Returns:
            ``(..., bins, 1 + samples // hop)`` complex64, not scaled.
        """
        mode = "constant" if self.padding == "zeros" else "reflect"
        flat = functional.pad(audio.reshape(1, -1, audio.shape[-1]), (self.n_fft // 2,) * 2, mode)
        window = self._window(audio.device)
        spectrum = torch.stft(
            flat[0], self.n_fft, self.hop, window=window, center=False, return_complex=True
        )
        return spectrum.reshape(*audio.shape[:-1], *spectrum.shape[-2:])

    def synthesise(self, spectrum: Tensor, samples: int | None = None) -> Tensor:
        """Overlap-adds windowed frames and divides by the sum of the squared windows.

        Args:
            spectrum: ``(..., bins, frames)`` complex64.
            samples: how many to give; by default as many as lie between the centres of the first
                and the last frame.

        Returns:
            ``(..., samples)`` float32.
        """
        flat = spectrum.reshape(-1, *spectrum.shape[-2:])
        window = self._window(spectrum.device)
        audio = torch.istft(flat, self.n_fft, self.hop, window=window, length=samples)
        return audio.reshape(*spectrum.shape[:-2], -1)

    def _window(self, device: torch.device) -> Tensor:
        return torch.hann_window(self.n_fft, device=device)


def as_pairs(spectrum: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones, ``(...)`` to ``(..., 2)``: what graphs can hold."""
    return torch.view_as_real(spectrum)


def magnitude(spectrogram: Tensor) -> Tensor:
    """Absolute values of pairs, ``(..., 2)`` to ``(...)``."""
    return spectrogram.square().sum(-1).sqrt()


def binary(mask: Tensor, threshold: float = 0.5) -> Tensor:
    """One where the mask is above the threshold, zero elsewhere."""
    return (mask > threshold).to(mask)
