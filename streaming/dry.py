"""The way of the input past the network: made fit to be heard, and delayed as the stems are."""

import numpy as np
from numpy.typing import NDArray

from .counters import Counters
from .ring import RingBuffer

Samples = NDArray[np.float32]

# +120 dB over full scale. Beyond it a sample is a fault, and its square might not be a number.
_LOUDEST = 1e6
# Products of more numbers numpy leaves to threads of BLAS, which it would wake in each block.
_PIECE = 4096


class DryPath:
    """A delay line for blocks of at most `max_frames`, which takes bad samples as 0.

    It can be armed for delays up to `max_delay` samples. Audio thread; allocates nothing after
    construction.
    """

    def __init__(self, channels: int, max_frames: int, max_delay: int, counters: Counters) -> None:
        self._line = RingBuffer(max_delay + max_frames, channels)
        self._clean = np.zeros((max_frames, channels), np.float32)
        self._flat = self._clean.reshape(-1)
        self._delayed = np.zeros((max_frames, channels), np.float32)
        self._magnitude = np.zeros(_PIECE, np.float32)
        self._bad = np.zeros(_PIECE, np.bool_)
        self._channels = channels
        self._counters = counters

    def rearm(self, delay: int) -> None:
        """Start anew with zeros, `delay` samples of them."""
        self._line.clear()
        self._line.write_silence(delay)

    def clean(self, audio: Samples) -> Samples:
        """`audio` (frames, channels) fit for the network; stands until the next call."""
        frames = len(audio)
        clean, flat = self._clean[:frames], self._flat[: frames * self._channels]
        np.copyto(clean, audio)
        for start in range(0, len(flat), _PIECE):
            part = flat[start : start + _PIECE]
            # One bad number spoils the sum of squares; far cheaper than asking each sample.
            if not np.dot(part, part) < _LOUDEST**2:
                self._silence_bad(part)
        return clean

    def _silence_bad(self, part: Samples) -> None:
        magnitude, bad = self._magnitude[: len(part)], self._bad[: len(part)]
        np.abs(part, out=magnitude)
        np.less(magnitude, _LOUDEST, out=bad)
        np.logical_not(bad, out=bad)  # so that NaN, which is not less than anything, is bad
        np.copyto(part, np.float32(0.0), where=bad)
        self._counters.bad_input += int(np.count_nonzero(bad))

    def delay(self, clean: Samples) -> Samples:
        """The samples that came so long before; stands until the next call."""
        delayed = self._delayed[: len(clean)]
        self._line.write(clean)
        self._line.read(delayed)
        return delayed
