"""The last queue before the host: as many stems as each block asks for, at a fixed delay."""

import numpy as np
from numpy.typing import NDArray

from .counters import Counters
from .ring import RingBuffer

Samples = NDArray[np.float32]


class StemQueue:
    """A queue of frames that keeps its delay even where a block asks for more than there is.

    That happens when a host breaks the block size it promised. The missing samples are zeros, and
    as many are dropped when they come, so that the latency stays as reported.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], counters: Counters) -> None:
        self._queue = RingBuffer(capacity, shape)
        self._counters = counters
        self._debt = 0

    def restart(self, delay: int) -> None:
        """Start anew with `delay` frames of zeros."""
        self._queue.clear()
        self._queue.write_silence(delay)
        self._debt = 0

    def write(self, frames: Samples) -> None:
        """Append `frames`; see `RingBuffer.write`."""
        self._queue.write(frames)

    def fill(self, block: Samples) -> None:
        """Fill all of `block` with the oldest frames; what is missing is zeros, and counted."""
        queue = self._queue
        if self._debt:
            self._debt -= queue.skip(self._debt)
        missing = len(block) - queue.read(block)
        if missing:
            block[len(block) - missing :] = 0.0
            self._debt += missing
            self._counters.shortfall += missing
