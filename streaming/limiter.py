"""A limiter without look-ahead: no sample above the ceiling, no delay."""

import math

import numpy as np
from numpy.typing import NDArray

from .parameters import LOUDEST_DB, linear, ramp

Samples = NDArray[np.float32]

# From silenced back to full gain. A power of two of samples, see `Limiter`.
RELEASE_SECONDS = 0.35
_UNREACHED = 1e30
# What the greatest gain makes of full scale: a change of the ceiling matters below it.
_HIGHEST = linear(LOUDEST_DB)
# A little below the ceiling, since a quotient and a product are rounded.
_BELOW = 1.0 - 2.0**-22


class Limiter:
    """Turns all channels down together for as long as one would pass the ceiling.

    The gain falls at once, by as much as a sample needs, and rises along a straight line:

        gain[n] = min(1, ceiling / |x[n]|, gain[n - 1] + step)

    Written with u[n] = gain[n] - n·step it is a running minimum, which numpy has. The step is a
    power of two and the quotients are float32, so in float64 all of this is exact, and the same
    samples come out whatever the blocks. Audio thread; allocates nothing after construction.

    To a lower ceiling the way is a straight line of `parameters.RAMP_SECONDS`, which begins with
    the first sample of the `process` call that sees the change, and comes from +12 dB where there
    was no ceiling. Before the first sound it applies at once.
    """

    def __init__(self, sample_rate: int, channels: int, max_frames: int) -> None:
        self._step = 2.0 ** -round(math.log2(RELEASE_SECONDS * sample_rate))
        self._slope = self._step * np.arange(1, max_frames + 1)
        self._magnitude = np.empty((max_frames, channels), np.float32)
        self._peak = np.empty(max_frames, np.float32)
        self._line = np.empty(max_frames, np.float64)
        self._gain = 1.0
        self._rest = ramp(sample_rate)
        self._falling = np.empty(len(self._rest), np.float32)
        self._goal = self._start = self._level = math.inf  # ceilings: the last, and the way to it
        self._done = len(self._rest)  # samples of the way
        self._fresh = True

    def reset(self) -> None:
        """Back to full gain, and no sound yet."""
        self._gain, self._fresh = 1.0, True

    def process(self, audio: Samples, ceiling: float) -> None:
        """Limit `audio` (frames, channels), finite, in place; `ceiling` is linear, or infinite."""
        frames = len(audio)
        if frames == 0:
            return
        if ceiling != self._goal or self._fresh:
            self._aim(ceiling)
        gliding = min(frames, len(self._rest) - self._done)
        if gliding:
            falling, rest = self._falling[:gliding], self._rest[self._done : self._done + gliding]
            np.multiply(rest, self._start - ceiling, out=falling)
            np.add(falling, ceiling, out=falling)
            self._done, self._level = self._done + gliding, float(falling[-1])
            np.multiply(falling, _BELOW, out=falling)
            self._limit(audio[:gliding], falling, self._level)
        if gliding < frames and (ceiling < math.inf or self._gain < 1.0):
            # Without a ceiling a level that nothing reaches, so that the gain goes home.
            level = min(ceiling, _UNREACHED)
            self._limit(audio[gliding:], _BELOW * level, level)

    def _aim(self, ceiling: float) -> None:
        self._start = min(self._level, _HIGHEST)
        falls = ceiling < self._start and not self._fresh
        self._done = 0 if falls else len(self._rest)
        self._level = self._start if falls else ceiling
        self._goal, self._fresh = ceiling, False

    def _limit(self, audio: Samples, level: float | Samples, lowest: float) -> None:
        """Down to `level`, one or one a sample; what is not above `lowest` passes all of them."""
        frames = len(audio)
        magnitude, peak = self._magnitude[:frames], self._peak[:frames]
        np.abs(audio, out=magnitude)
        np.maximum.reduce(magnitude, axis=1, out=peak)
        if self._gain == 1.0 and np.maximum.reduce(peak) <= lowest:
            return
        np.maximum(peak, level, out=peak)
        np.divide(level, peak, out=peak)
        line, slope = self._line[:frames], self._slope[:frames]
        np.copyto(line, peak)
        np.subtract(line, slope, out=line)
        line[0] = min(line[0], self._gain)
        np.minimum.accumulate(line, out=line)
        np.add(line, slope, out=line)
        self._gain = float(line[-1])
        np.copyto(peak, line, casting="same_kind")
        # By way of an array of the audio's own shape: numpy would make one of its own otherwise.
        np.copyto(magnitude, peak[:, None])
        np.multiply(audio, magnitude, out=audio)
