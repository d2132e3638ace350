"""A whole recording through AudioSep, as its authors do it: in one pass, or in windows.

A short recording goes in one pass (their ``separate_audio``). A longer one goes in windows of 5 s,
each 3 s after the last, of which the first and the last second are only heard, as context (their
``chunk_inference``); the first window gives its first second, too, the last one all it has left.

Where their code has a fault, the sound thing is done: windows are not computed twice, a recording
of 5 s or less in windows is not silent, and nothing is rounded to 16 bits, which wraps beyond 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .audiosep import AUDIOSEP_FRONT, AudioSep
from .spectrogram import as_pairs

ONE_PASS = 20 * AUDIOSEP_FRONT.sample_rate
"""Samples of the longest recording that goes in one pass, which takes about 2 GB."""

CONTEXT = AUDIOSEP_FRONT.sample_rate
"""Samples at each end of a window that are heard and not kept."""


def separate_recording(
    network: AudioSep,
    audio: Tensor,
    conditioning: Tensor,
    *,
    one_pass: int = ONE_PASS,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Separates a recording at 32 kHz.

    Args:
        network: in evaluation mode.
        audio: ``(samples,)`` float32, one sample or more.
        conditioning: ``(queries, size)``.
        one_pass: samples of the longest recording that goes in one pass.
        progress: called with the finished share, 0 to 1.

    Returns:
        ``(queries, samples)`` float32.
    """
    window = network.front.clip if len(audio) > one_pass else len(audio)
    separated = torch.zeros(len(conditioning), len(audio))
    start = 0
    while True:
        piece = audio[start : start + window]
        for query, words in enumerate(conditioning):
            stem = _one_pass(network, piece, words[None])
            kept = CONTEXT if start else 0  # what comes after will be replaced by the next window
            separated[query, start + kept : start + len(piece)] = stem[kept:]
        if progress is not None:
            progress((start + len(piece)) / len(audio))
        if start + window >= len(audio):
            return separated
        start += window - 2 * CONTEXT


@torch.no_grad()
def _one_pass(network: AudioSep, audio: Tensor, conditioning: Tensor) -> Tensor:
    front = network.front
    padded = functional.pad(audio, (0, max(0, front.n_fft - len(audio))))  # enough to mirror
    spectrum = front.analyse(padded)
    masks = torch.view_as_complex(network(as_pairs(spectrum)[None], conditioning)[0, 0])
    return front.synthesise(masks * spectrum, len(padded))[: len(audio)]
