"""How much of a sound was recovered, in decibels.

Signals are compared over their whole duration with their means removed. For an estimate e of a
reference s (Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019):

    SI-SDR = 10 log10(|a s|² / |e - a s|²),   a = <e, s> / <s, s>
    SDR    = 10 log10(|s|² / |e - s|²)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Keeps figures finite: a perfect estimate scores no more, silence no less.
CEILING = 120.0
TINY = np.finfo(np.float64).tiny


def si_sdr(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of two signals (samples,)."""
    e, s = _centred(estimate), _centred(reference)
    wanted = (e @ s) / max(float(s @ s), TINY) * s
    return _decibels(wanted, e - wanted)


def sdr(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Signal-to-distortion ratio in dB of two signals (samples,); a wrong level counts."""
    e, s = _centred(estimate), _centred(reference)
    return _decibels(s, e - s)


def attenuation(mixture: ArrayLike, output: ArrayLike) -> float:
    """How many dB `output` lies below `mixture`; for a sound that is not in the mixture."""
    return _decibels(_centred(mixture), _centred(output))


def _centred(signal: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(signal, np.float64)
    centred: NDArray[np.float64] = x - x.mean()
    return centred


def _decibels(signal: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    above, below = float(signal @ signal), float(noise @ noise)
    if above == 0.0:
        return -CEILING  # also where both are silent: a muted sound is no recovered one
    below = max(below, above * 10 ** (-CEILING / 10))
    return max(-CEILING, 10 * math.log10(above / below))
