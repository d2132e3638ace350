"""Whole recordings through the same `Processor` that plays live; only the delay is taken out."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
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

    At another rate than the model's only what the network adds passes the resampler; the input's
    own share of each output is taken from the recording itself. So all outputs of "stems" still sum
    to the input, above the model's band, too. Samples that are NaN or infinite count as 0, at every
    rate, and are counted in the processor's `counters`.
    """
    processor = source if isinstance(source, Processor) else Processor(source)
    if audio.ndim != 2 or audio.shape[1] < 1 or sample_rate < 1:
        raise ValueError(
            f"found audio of shape {audio.shape} at {sample_rate} Hz, expected (frames, channels)"
        )
    rate = processor.sample_rate
    block = block_size or _BLOCK_HOPS * processor.spec.frames.hop
    if sample_rate == rate:
        return _play(processor, audio, block, progress)
    # A resampler would spread a NaN over its whole filter, so here they go before it.
    bad = ~np.isfinite(audio)
    audio = np.where(bad, np.float32(0.0), audio)
    at_model_rate = _resample(audio, sample_rate, rate, math.ceil(len(audio) * rate / sample_rate))
    separated = _play(processor, at_model_rate, block, progress)
    processor.counters.bad_input += int(np.count_nonzero(bad))
    if processor.outputs == "mix":
        return _back(separated, at_model_rate, audio, processor.input_weights[0], rate, sample_rate)
    return np.stack(
        [
            _back(one, at_model_rate, audio, weight, rate, sample_rate)
            for one, weight in zip(separated, processor.input_weights, strict=True)
        ]
    )


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


def _back(
    separated: Samples,
    at_model_rate: Samples,
    audio: Samples,
    weight: float,
    model_rate: int,
    sample_rate: int,
) -> Samples:
    """Bring one output back to the recording's rate; `weight` is the input's own share of it."""
    added = separated - np.float32(weight) * at_model_rate
    result = _resample(added, model_rate, sample_rate, len(audio))
    result += np.float32(weight) * audio
    return result


def _resample(audio: Samples, rate: int, new_rate: int, frames: int) -> Samples:
    """Resample (frames, channels) to exactly `frames`; soxr's own count may be one off."""
    import soxr  # type: ignore[import-untyped]  # here, since most recordings do not need it

    result = np.zeros((frames, audio.shape[1]), np.float32)
    resampled = soxr.resample(audio, rate, new_rate, quality=_QUALITY)[:frames]
    result[: len(resampled)] = resampled
    return result
