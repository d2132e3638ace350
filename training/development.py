"""Scores a network on some mixtures of a fixed list while it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from .metrics import attenuation, si_sdr
from .mixture_list import RATE, Mixture, read_mixtures, render
from .recipe import Heard

Samples = NDArray[np.float32]
Separate = Callable[[Samples, Mixture], Samples]
"""Audio ``(samples,)`` and what it is to what was asked for: ``(samples,)``, or ``(sources,
samples)`` of a network that nobody can ask, of which the better one counts."""

_SHOWN = 3


class Development:
    """Every ``stride``-th mixture of a list, rendered once.

    Args:
        mixtures: list of mixtures beside its clips.
        stride: 1 takes all; scoring takes about as long as 20 steps for a third of 260.
    """

    def __init__(self, mixtures: Path, stride: int = 3) -> None:
        self.mixtures = read_mixtures(mixtures)[::stride]
        self.signals = [render(mixture, mixtures.parent) for mixture in self.mixtures]

    def score(
        self, separate: Separate, sample_rate: int = RATE
    ) -> tuple[dict[str, float], list[Heard]]:
        """Mean and median SI-SDR improvement and mean attenuation of what is absent, dB.

        Args:
            separate: is given audio at ``sample_rate``, at which it is scored, too.

        Returns:
            The figures, and the first few mixtures to listen to.
        """
        improvements, attenuations = [], []
        heard: list[Heard] = []
        for mixture, signals in zip(self.mixtures, self.signals, strict=True):
            audio, target = (_at(sample_rate, signal) for signal in signals)
            estimates = np.atleast_2d(separate(audio, mixture))
            estimate = max(estimates, key=lambda one: si_sdr(one, target))
            if target.any():
                improvements.append(si_sdr(estimate, target) - si_sdr(audio, target))
            else:
                attenuations.append(attenuation(audio, estimate))
            if len(heard) < _SHOWN:
                heard.append(Heard(mixture.query, sample_rate, audio, target, estimate))
        figures = {}
        if improvements:
            figures["si_sdri_mean"] = round(float(np.mean(improvements)), 3)
            figures["si_sdri_median"] = round(float(np.median(improvements)), 3)
        if attenuations:
            figures["absent_db"] = round(float(np.mean(attenuations)), 2)
        return figures, heard


def _at(sample_rate: int, signal: NDArray[np.float64]) -> Samples:
    if sample_rate != RATE:
        signal = soxr.resample(signal, RATE, sample_rate)
    return signal.astype(np.float32)
