"""Whole recordings through the same `Processor` that plays live; only the delay is taken out."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from .counters import Counters
from .dry import DryPath
from .processor import Processor

Samples = NDArray[np.float32]

# Blocks this long cost no time worth naming and give progress bars something to show.
_BLOCK_HOPS = 32
# soxr's best: what the filters remove or add is below 24 bits.
_QUALITY = "VHQ"


def separate_array(
    source: Processor | Bundle,
    audio: Samples,
    sample_rate: int,
    *,
    block_size: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Samples:
    """Separate a recording: `audio` float32 (frames, channels) at `sample_rate` Hertz, any rate.

    A `Processor` is prepared here, its settings are used; a `Bundle` is played with the usual ones.
    Returns (frames, channels), or (queries + 1, frames, channels) for a processor with outputs
    "stems"; as long as the input, at its rate, aligned with it to the sample. The result does not
    depend on `block_size` (samples at the model's rate). `progress` is called with the finished
    share, 0 to 1, after each block.

    At another rate than the model's only the stems pass a resampler, and are then mixed with the
    recording itself. So all outputs of "stems" still sum to the input, above the model's band, too.
    Samples that are NaN, infinite or beyond +120 dBFS count as 0, at every rate, and are counted in
    the processor's `counters`.
    """
    processor = source if isinstance(source, Processor) else Processor(source)
    if audio.ndim != 2 or audio.shape[1] < 1 or sample_rate < 1:
        raise ValueError(
            f"found audio of shape {audio.shape} at {sample_rate} Hz, expected (frames, channels)"
        )
    rate = processor.sample_rate
    usual = _BLOCK_HOPS * processor.spec.frames.hop
    # A block beyond the end of the recording would compute silence.
    block = min(block_size or usual, max(usual, math.ceil(len(audio) * rate / sample_rate)))
    if sample_rate == rate:
        return _play(processor, audio, block, progress)
    counters = Counters()
    clean = DryPath(audio.shape[1], max(1, len(audio)), 0, counters).clean(audio)
    stems = _stems(processor, clean, sample_rate, block, progress)
    processor.counters.bad_input += counters.bad_input
    return _mix(processor, stems, clean, sample_rate)


def _play(
    processor: Processor, audio: Samples, block: int, progress: Callable[[float], None] | None
) -> Samples:
    """Play `audio` (frames, channels) in blocks and the silence that pushes the last sample out."""
    frames, channels = audio.shape
    processor.prepare(processor.sample_rate, block, channels, block=block)
    outputs = () if processor.outputs == "mix" else (processor.queries + 1,)
    result = np.empty((*outputs, frames, channels), np.float32)
    chunk = np.zeros((block, channels), np.float32)
    played = np.empty((*outputs, block, channels), np.float32)
    latency = processor.latency_samples
    for start in range(0, frames + latency if frames else 0, block):
        given = audio[start : start + block]
        chunk[: len(given)] = given
        chunk[len(given) :] = 0.0
        processor.process(chunk, played)
        at = start - latency
        skipped = max(0, -at)
        wanted = result[..., at + skipped : max(0, at + block), :]
        wanted[...] = played[..., skipped : skipped + wanted.shape[-2], :]
        if progress is not None:
            progress(min(1.0, (start + block) / (frames + latency)))
    return result


def _stems(
    processor: Processor,
    audio: Samples,
    sample_rate: int,
    block: int,
    progress: Callable[[float], None] | None,
) -> Samples:
    """The stems (queries, frames, channels) of `audio` at its own rate, not the model's."""
    rate = processor.sample_rate
    given = resample(audio, sample_rate, rate, math.ceil(len(audio) * rate / sample_rate))
    frames, channels = given.shape
    processor.prepare(rate, block, channels, block=block)
    latency = processor.latency_samples
    # Whole blocks, as promised, and enough of them to push the last sample out.
    total = -(-(frames + latency) // block) * block if frames else 0
    padded = np.zeros((total, channels), np.float32)
    padded[:frames] = given
    found = np.empty((processor.queries, total, channels), np.float32)
    for start in range(0, total, block):
        piece = slice(start, start + block)
        processor.separate(padded[piece], found[:, piece])
        if progress is not None:
            progress((start + block) / total)
    back = [
        resample(stem[latency : latency + frames], rate, sample_rate, len(audio)) for stem in found
    ]
    return np.stack(back)


def _mix(processor: Processor, stems: Samples, audio: Samples, sample_rate: int) -> Samples:
    outlet = processor.outlet(sample_rate, *audio.shape[::-1])
    shape = audio.shape if processor.outputs == "mix" else (processor.queries + 1, *audio.shape)
    out = np.empty(shape, np.float32)
    outlet.mix(stems, audio, out)
    return out


def resample(audio: Samples, rate: int, new_rate: int, frames: int) -> Samples:
    """Resample a whole recording (samples, channels) to exactly `frames` samples."""
    import soxr  # here, since most recordings do not need it

    result = np.zeros((frames, audio.shape[1]), np.float32)  # soxr's own count may be one off
    resampled = soxr.resample(audio, rate, new_rate, quality=_QUALITY)[:frames]
    result[: len(resampled)] = resampled
    return result
