"""Noise of many shapes: a preamplifier's hiss, a fan, rumble, what a room sounds like at rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_FALL_DB = (0.0, 6.0)  # an octave: from white to brown
_LOWEST_HZ = (20.0, 200.0)  # below it falls by 6 dB an octave,
_HIGHEST_HZ = (2_000.0, 20_000.0)  # and above this by as much more


def shaped_noise(samples: int, sample_rate: int, random: np.random.Generator) -> Samples:
    """Gaussian noise ``(samples,)`` of a random spectrum, its mean square 1.

    Its power falls by 0 to 6 dB an octave between two random corners. The corners are even over
    octaves, as ears are.
    """
    hertz = np.fft.rfftfreq(samples, 1 / sample_rate)
    hertz[0] = hertz[min(1, len(hertz) - 1)] or 1.0
    fall, lowest, highest = _shape(random)
    gain = (hertz / 1000) ** (-fall / (20 * np.log10(2)))
    gain /= np.sqrt((1 + (lowest / hertz) ** 2) * (1 + (hertz / highest) ** 2))
    noise = np.fft.irfft(gain * np.fft.rfft(random.standard_normal(samples)), samples)
    return np.asarray(noise / np.sqrt(np.square(noise).mean() + 1e-30), np.float32)


def _shape(random: np.random.Generator) -> tuple[float, float, float]:
    """Fall in dB an octave, lower and upper corner in Hertz."""
    lowest, highest = (
        float(np.exp(random.uniform(*np.log(corners)))) for corners in (_LOWEST_HZ, _HIGHEST_HZ)
    )
    return random.uniform(*_FALL_DB), lowest, highest
