"""Levels of what is played: input, each stem, the rest, output.

The audio thread only copies its blocks into memory for half a second; whoever wants levels measures
them there. That takes a callback half the time that measuring would (`benchmarks.levels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tape import write_round

Samples = NDArray[np.float32]

# Longer than it takes a reader to come again, so that no peak is missed.
PEAK_S = 0.2
# Over which VU meters settle.
RMS_S = 0.3
_MEMORY_S = 0.5
# The largest positive sample of 16 bits, beyond which most converters do not go.
FULL_SCALE = 1.0 - 2.0**-15
# As for the processor, what is louder (or no number) is no sound.
_LOUDEST = 1e6


@dataclass(frozen=True)
class Level:
    """How loud a signal is, all its channels together; linear, 1.0 is full scale.

    `peak` is the largest magnitude of the last 0.2 s, `rms` the root of the mean square of the last
    0.3 s: 3.01 dB below the peak for a sine. `clips` are the samples at full scale or beyond, since
    the start.
    """

    peak: float = 0.0
    rms: float = 0.0
    clips: int = 0


@dataclass(frozen=True)
class Levels:
    """`input` as the device gave it, `output` as the device gets it.

    `stems` are as separated, before gain, mute and solo: a level for each sound asked for, and then
    that of the rest.
    """

    input: Level
    output: Level
    stems: tuple[Level, ...]


def decibels(level: float) -> float:
    """Linear full scale to dBFS; -inf for silence."""
    return 20.0 * math.log10(level) if level > 0.0 else -math.inf


class LevelMeter:
    """Takes blocks in on the audio thread and gives levels to the control thread, without a lock.

    `channels` are the input's; an output that has more has one sound in all of them.
    """

    def __init__(self, sample_rate: int, stems: int, channels: int) -> None:
        self._devices = _Recent(2, sample_rate, channels)
        self._separated = _Recent(1 + stems, sample_rate, channels)

    def put_devices(self, audio_in: Samples, audio_out: Samples) -> None:
        """A block of the input and one for the output, (frames, channels) each. Audio thread."""
        self._devices.put(audio_in, audio_out[np.newaxis, :, : audio_in.shape[1]])

    def put_stems(self, dry: Samples, stems: Samples) -> None:
        """What a tap is handed, see `Processor.add_tap`. Audio thread."""
        self._separated.put(dry, stems)

    def read(self) -> Levels:
        """The levels now. Control thread; it misses no clip if it comes every 0.3 s."""
        audio_in, audio_out = self._devices.read()
        rest, *stems = self._separated.read(_leave_the_rest)
        return Levels(audio_in, audio_out, (*stems, rest))


class _Recent:
    """The latest frames of some signals, with one writer and one reader."""

    def __init__(self, signals: int, sample_rate: int, channels: int) -> None:
        # More than is read, so that the writer is elsewhere meanwhile.
        self._frames = np.empty((signals, math.ceil(_MEMORY_S * sample_rate), channels), np.float32)
        self._frames.fill(0.0)  # touched now: the system hands out the memory here, not in `put`
        self._window = np.empty((signals, math.ceil(RMS_S * sample_rate), channels), np.float32)
        self._peak_frames = math.ceil(PEAK_S * sample_rate)
        self._written = 0
        self._read = 0
        self._clips = [0] * signals

    def put(self, first: Samples, others: Samples) -> None:
        """Take (frames, channels) and (signals - 1, frames, channels). Writer."""
        capacity = self._frames.shape[1]
        first, others = first[-capacity:], others[:, -capacity:]
        write_round(self._frames, self._written, first, others)
        self._written += len(first)

    def read(self, change: Callable[[Samples], None] | None = None) -> list[Level]:
        """Levels of the latest (signals, frames, channels), after `change` to these. Reader."""
        written = self._written
        count = min(written, self._window.shape[1])
        latest = self._window[:, :count]
        start = (written - count) % self._frames.shape[1]
        head = min(count, self._frames.shape[1] - start)
        latest[:, :head] = self._frames[:, start : start + head]
        latest[:, head:] = self._frames[:, : count - head]
        if change is not None:
            change(latest)
        fresh = min(count, written - self._read)
        self._read = written
        return [self._level(number, sound, fresh) for number, sound in enumerate(latest)]

    def _level(self, number: int, sound: Samples, fresh: int) -> Level:
        """Of one signal's (frames, channels), the last `fresh` of which are new."""
        if not sound.size:
            return Level()
        loudest = _peak(sound)
        if not loudest < _LOUDEST:
            sound[~(np.abs(sound) < _LOUDEST)] = 0.0
            loudest = _peak(sound)
        if fresh and loudest >= FULL_SCALE:
            self._clips[number] += int(np.count_nonzero(np.abs(sound[-fresh:]) >= FULL_SCALE))
        energy = float(np.einsum("fc,fc->", sound, sound))  # BLAS may wake threads
        peak = _peak(sound[-self._peak_frames :])
        return Level(peak, math.sqrt(energy / sound.size), self._clips[number])


def _peak(sound: Samples) -> float:
    """The largest magnitude, without an array of magnitudes; NaN where there is one."""
    return max(float(sound.max()), -float(sound.min()))


def _leave_the_rest(sound: Samples) -> None:
    """Takes all signals but the first from the first."""
    for stem in sound[1:]:
        np.subtract(sound[0], stem, out=sound[0])
