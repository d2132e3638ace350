"""The spectral front end a separator states about itself: rate, frames, windows, bands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrontEnd:
    """A causal STFT with a long asymmetric analysis window and a short synthesis window.

    The windows are those of Mauler & Martin (2007): their product is a Hann window of two hops,
    so overlap-add is exact and the delay is two hops however long the analysis window is.

    Attributes:
        sample_rate: Hz.
        n_fft: length of the analysis window, samples.
        hop: samples between frames; frame ``t`` ends with sample ``(t + 1) * hop - 1``.
    """

    sample_rate: int = 48_000
    n_fft: int = 1024
    hop: int = 128

    @property
    def bins(self) -> int:
        """Number of frequency bins, ``n_fft / 2 + 1``."""
        return self.n_fft // 2 + 1

    def analysis_window(self) -> Tensor:
        """Returns the analysis window, ``(n_fft,)`` float64."""
        rise, fall = self.n_fft - self.hop, self.hop
        return torch.cat([_hann(2 * rise)[:rise].sqrt(), _hann(2 * fall)[fall:].sqrt()])

    def synthesis_window(self) -> Tensor:
        """Returns the synthesis window over the newest two hops, ``(2 * hop,)`` float64."""
        hann = _hann(2 * self.hop)
        analysis = self.analysis_window()[-2 * self.hop :]
        # where n_fft is two hops, both are zero at the first sample, and so is the window
        return torch.where(hann > 0, hann / analysis, 0.0)

    def analyse(self, audio: Tensor) -> Tensor:
        """Frames and transforms audio that starts from silence.

        Args:
            audio: ``(..., samples)`` float32; samples beyond the last whole hop are not used.

        Returns:
            ``(..., frames, bins)`` complex64, ``frames = samples // hop``.
        """
        padded = torch.nn.functional.pad(audio, (self.n_fft - self.hop, 0))
        frames = padded.unfold(-1, self.n_fft, self.hop)
        spectrum: Tensor = torch.fft.rfft(frames * self.analysis_window().to(audio))
        return spectrum

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Inverts :meth:`analyse` by overlap-add of the synthesis windows.

        Args:
            spectrum: ``(..., frames, bins)`` complex64.

        Returns:
            ``(..., (frames - 1) * hop)`` float32: the samples that have both of their frames.
        """
        hop = self.hop
        frames = torch.fft.irfft(spectrum, n=self.n_fft)[..., -2 * hop :]
        frames = frames * self.synthesis_window().to(frames)
        audio: Tensor = (frames[..., 1:, :hop] + frames[..., :-1, hop:]).flatten(-2)
        return audio


def band_edges(bins: int, linear: int, growth: float) -> list[int]:
    """Splits the bins into bands that are one bin wide at first and then grow with frequency.

    Args:
        bins: number of frequency bins to cover.
        linear: number of one-bin bands at the low end, where a bin is wider than an ear's band.
        growth: width of a later band as a fraction of its lower edge.

    Returns:
        Ascending edges, the first 0, the last ``bins``.
    """
    edges = list(range(linear + 1))
    while edges[-1] < bins:
        edges.append(min(bins, edges[-1] + max(1, math.floor(edges[-1] * growth + 0.5))))
    return edges


def _hann(length: int) -> Tensor:
    """Periodic Hann window, ``0.5 (1 - cos(2 pi n / length))``, float64."""
    phase = torch.arange(length, dtype=torch.float64) * (2 * math.pi / length)
    return 0.5 * (1 - torch.cos(phase))
