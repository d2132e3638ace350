"""How much of a sound was recovered, in decibels.

Signals are compared over their whole duration with their means removed. For an estimate e of a
reference s (Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019):

    SI-SDR = 10 log10(|a s|² / |e - a s|²),   a = <e, s> / <s, s>
    SDR    = 10 log10(|s|² / |e - s|²)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Keeps the ratio of two energies finite: a perfect estimate scores 120 dB at most.
FLOOR = 1e-12


def si_sdr(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of two signals (samples,)."""
    e, s = _centred(estimate), _centred(reference)
    wanted = (e @ s) / max(float(s @ s), FLOOR) * s
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
    floor = FLOOR * max(above, below, FLOOR)
    return float(10 * np.log10(max(above, floor) / max(below, floor)))
