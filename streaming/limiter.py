"""A limiter without look-ahead: no sample above the ceiling, no delay."""

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# From silenced back to full gain. A power of two of samples, see `Limiter`.
RELEASE_SECONDS = 0.35
_UNREACHED = 1e30


class Limiter:
    """Turns all channels down together for as long as one would pass the ceiling.

    The gain falls at once, by as much as a sample needs, and rises along a straight line:

        gain[n] = min(1, ceiling / |x[n]|, gain[n - 1] + step)

    Written with u[n] = gain[n] - n·step it is a running minimum, which numpy has. The step is a
    power of two and the quotients are float32, so in float64 all of this is exact, and the same
    samples come out whatever the blocks. Audio thread; allocates nothing after construction.
    """

    def __init__(self, sample_rate: int, channels: int, max_frames: int) -> None:
        self._step = 2.0 ** -round(math.log2(RELEASE_SECONDS * sample_rate))
        self._slope = self._step * np.arange(1, max_frames + 1)
        self._magnitude = np.empty((max_frames, channels), np.float32)
        self._peak = np.empty(max_frames, np.float32)
        self._line = np.empty(max_frames, np.float64)
        self._gain = 1.0

    def reset(self) -> None:
        """Back to full gain."""
        self._gain = 1.0

    def process(self, audio: Samples, ceiling: float) -> None:
        """Limit `audio` (frames, channels), finite, in place; `ceiling` is linear, or infinite."""
        frames = len(audio)
        if frames == 0 or (ceiling == math.inf and self._gain == 1.0):
            return
        magnitude, peak = self._magnitude[:frames], self._peak[:frames]
        np.abs(audio, out=magnitude)
        np.maximum.reduce(magnitude, axis=1, out=peak)
        if self._gain == 1.0 and np.maximum.reduce(peak) <= ceiling:
            return
        # A little below, since the quotient and the product below are rounded; for a limiter that
        # was switched off a level that nothing reaches, so that the gain goes home.
        level = min(ceiling, _UNREACHED) * (1.0 - 2.0**-22)
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
