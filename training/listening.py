"""Samples of a run for TensorBoard: what a network made of a mixture, to hear and to see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from numpy.typing import NDArray

from .recipe import Heard

_N_FFT, _HOP = 1024, 256
_RANGE_DB = 80.0


def show(logger: Logger, samples: Sequence[Heard], step: int) -> None:
    """Adds the samples to the log, each as audio and as one picture of three spectrograms."""
    if not isinstance(logger, TensorBoardLogger):
        return
    for heard in samples:
        parts = {"mixture": heard.mixture, "wanted": heard.wanted, "estimate": heard.estimate}
        for name, audio in parts.items():
            tag = f"{heard.words}/{name}"
            logger.experiment.add_audio(tag, audio[None], step, sample_rate=heard.rate)
        picture = np.concatenate([spectrogram(audio) for audio in parts.values()])
        logger.experiment.add_image(f"{heard.words}/spectrograms", picture[None], step)


def spectrogram(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels from 0 (80 dB below the loudest cell, or silence) to 1, high frequencies first.

    Args:
        audio: ``(samples,)``, of any length.

    Returns:
        ``(513, frames)`` float32.
    """
    spare = max(_N_FFT, len(audio) + -(len(audio) - _N_FFT) % _HOP) - len(audio)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, (0, spare)), _N_FFT)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_N_FFT))) ** 2
    decibels = 10 * np.log10(power / max(power.max(), 1e-30) + 10 ** (-_RANGE_DB / 10))
    return np.ascontiguousarray((1 + decibels / _RANGE_DB).T[::-1], np.float32)
