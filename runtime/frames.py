"""Frames of the short-time Fourier transform: geometry and windows.

Two pairs of windows, each of which gives the input back by overlap-add:

"asymmetric-analysis" and "asymmetric-synthesis": a long analysis window gives fine frequency
resolution, a synthesis window of only two hops gives a short delay; their product is a Hann window
of two hops, whose copies one hop apart sum to 1.

Source: Mauler & Martin, "A low delay, variable resolution, perfect reconstruction spectral
analysis-synthesis system for speech enhancement" (EUSIPCO 2007), in the form with d = 0. With
K = n_fft, M = hop and H_N(n) = sin²(πn/N), the periodic Hann window of N samples:

    analysis(n)  = √H_{2(K-M)}(n)                  on [0, K-M)
                   √H_{2M}(n - (K-2M))             on [K-M, K)
    synthesis(n) = 0                               on [0, K-2M)
                   H_{2M}(n - (K-2M)) / analysis   on [K-2M, K-M)
                   analysis(n)                     on [K-M, K)

"hann" and "hann-istft": what torch.stft and torch.istft do with a periodic Hann window, and
librosa, on which offline separators are trained. With the sum over all whole k for which n + kM is
in [0, K), a function of n mod M even where M does not divide K:

    analysis(n)  = H_K(n)
    synthesis(n) = H_K(n) / Σ_k H_K(n + kM)²
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import BundleError

Padding = Literal["causal", "zeros", "reflect"]

MAX_N_FFT = 1 << 16
"""More than a second at 48 kHz: no network takes frames this long."""


@dataclass(frozen=True)
class Frames:
    """Geometry of the transform: window length and hop in samples, windows and padding by name.

    `padding` "causal": the stream starts from zeros, and each frame ends at the newest sample.
    "zeros" and "reflect" are centred: of a block, frame k is centred on sample k·hop, and beyond
    the block's ends there are zeros, or its samples mirrored (the first and the last not repeated).
    The hop need not divide n_fft.
    Raises `BundleError` for a geometry or a name that the engine cannot run.
    """

    n_fft: int
    hop: int
    analysis: str = "asymmetric-analysis"
    synthesis: str = "asymmetric-synthesis"
    padding: Padding = "causal"

    def __post_init__(self) -> None:
        if self.hop < 1 or self.n_fft < 2 * self.hop or self.n_fft % 2:
            raise BundleError(
                f"frames: n_fft {self.n_fft} and hop {self.hop} do not fit; "
                "n_fft must be even and at least two hops, the hop at least 1"
            )
        if self.n_fft > MAX_N_FFT:
            raise BundleError(f"frames: n_fft {self.n_fft}, at most {MAX_N_FFT} are transformed")
        for name in (self.analysis, self.synthesis):
            if name not in _WINDOWS:
                known = ", ".join(sorted(_WINDOWS))
                raise BundleError(f"frames: unknown window {name!r}; known are {known}")
        if (self.analysis, self.synthesis) not in _PAIRS:
            pairs = " or ".join(f"{analysis} with {synthesis}" for analysis, synthesis in _PAIRS)
            raise BundleError(
                f"frames: windows {self.analysis!r} and {self.synthesis!r} do not give the input "
                f"back; use {pairs}"
            )
        if self.padding not in get_args(Padding):
            known = ", ".join(get_args(Padding))
            raise BundleError(f"frames: unknown padding {self.padding!r}; known are {known}")

    @property
    def bins(self) -> int:
        """Number of frequency bins F of one frame, n_fft / 2 + 1."""
        return self.n_fft // 2 + 1

    @property
    def support(self) -> int:
        """Newest samples of a frame that its synthesis window covers; it is zero before them."""
        return _PAIRS[self.analysis, self.synthesis](self)

    @property
    def overlap(self) -> int:
        """Samples by which overlap-add lags the newest hop: it waits for the frames to come."""
        return self.support - self.hop


def analysis_window(frames: Frames) -> NDArray[np.float64]:
    """Window that a frame is multiplied by before the transform, [n_fft], in [0, 1]."""
    return _WINDOWS[frames.analysis](frames.n_fft, frames.hop)


def synthesis_window(frames: Frames) -> NDArray[np.float64]:
    """Window that a frame is multiplied by after the inverse transform, [n_fft].

    Zero but for the newest `frames.support` samples, so only those need computing. With the
    analysis window it overlap-adds to 1 within 1e-15; the engine casts both to float32 once, at the
    very end.
    """
    return _WINDOWS[frames.synthesis](frames.n_fft, frames.hop)


def _asymmetric_analysis(n_fft: int, hop: int) -> NDArray[np.float64]:
    # sin is √H without the cancellation that √(½(1 - cos)) suffers near zero.
    rising = np.sin(np.pi * np.arange(n_fft - hop) / (2 * (n_fft - hop)))
    falling = np.cos(np.pi * np.arange(hop) / (2 * hop))
    return np.concatenate([rising, falling])


def _asymmetric_synthesis(n_fft: int, hop: int) -> NDArray[np.float64]:
    window = _asymmetric_analysis(n_fft, hop)
    window[: n_fft - 2 * hop] = 0.0
    rising = window[n_fft - 2 * hop : n_fft - hop]
    hann = np.sin(np.pi * np.arange(hop) / (2 * hop)) ** 2
    # Both are zero at the first sample when n_fft is two hops; the window is zero there, too.
    np.divide(hann, rising, out=rising, where=rising > 0.0)
    return window


def _hann(n_fft: int, hop: int) -> NDArray[np.float64]:
    return np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2


def _hann_istft(n_fft: int, hop: int) -> NDArray[np.float64]:
    window = _hann(n_fft, hop)
    # One row a hop; zeros fill the last where the hop does not divide n_fft.
    squares = np.zeros(-(-n_fft // hop) * hop)
    squares[:n_fft] = window**2
    envelope = squares.reshape(-1, hop).sum(axis=0)
    return window / np.resize(envelope, n_fft)


_WINDOWS: dict[str, Callable[[int, int], NDArray[np.float64]]] = {
    "asymmetric-analysis": _asymmetric_analysis,
    "asymmetric-synthesis": _asymmetric_synthesis,
    "hann": _hann,
    "hann-istft": _hann_istft,
}
# The pairs that give the input back, and what the second covers.
_PAIRS: dict[tuple[str, str], Callable[[Frames], int]] = {
    ("asymmetric-analysis", "asymmetric-synthesis"): lambda frames: 2 * frames.hop,
    ("hann", "hann-istft"): lambda frames: frames.n_fft,
}
