"""A ring buffer: audio frames in, the same frames out later, first in, first out."""

import numpy as np
from numpy.typing import NDArray


class RingBuffer:
    """FIFO of float32 audio frames; after construction nothing is allocated.

    `capacity` is the most frames it can hold, `channels` the shape of one frame: a number of
    channels, or a tuple such as (outputs, channels). Blocks are arrays (frames, *channels) of any
    strides; they are copied in and out.

    For one thread. It is not a queue between two: nothing here is ordered for another reader.
    """

    def __init__(self, capacity: int, channels: int | tuple[int, ...]) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1 frame, found {capacity}")
        shape = (channels,) if isinstance(channels, int) else tuple(channels)
        self._frames = np.zeros((capacity, *shape), np.float32)
        self._capacity = capacity
        self._start = 0
        self._available = 0

    @property
    def available(self) -> int:
        """Frames written and not yet read."""
        return self._available

    @property
    def free(self) -> int:
        """Frames that can still be written."""
        return self._capacity - self._available

    def write(self, block: NDArray[np.float32]) -> None:
        """Append all of `block`; `ValueError` if it does not fit (nothing is written then)."""
        count = len(block)
        end = self._claim(count)
        first = self._capacity - end
        if count <= first:
            self._frames[end : end + count] = block
        else:
            self._frames[end:] = block[:first]
            self._frames[: count - first] = block[first:]

    def write_silence(self, count: int) -> None:
        """Append `count` frames of zeros; `ValueError` if they do not fit."""
        end = self._claim(count)
        first = self._capacity - end
        self._frames[end : end + count] = 0.0
        if count > first:
            self._frames[: count - first] = 0.0

    def read(self, out: NDArray[np.float32]) -> int:
        """Move the oldest frames to the front of `out`; returns how many there were, <= len(out).

        The rest of `out` is left alone.
        """
        return self.skip(self.peek(out))

    def peek(self, out: NDArray[np.float32]) -> int:
        """Like `read`, but the frames stay."""
        count = min(len(out), self._available)
        first = self._capacity - self._start
        if count <= first:
            out[:count] = self._frames[self._start : self._start + count]
        else:
            out[:first] = self._frames[self._start :]
            out[first:count] = self._frames[: count - first]
        return count

    def skip(self, count: int) -> int:
        """Drop the `count` oldest frames, or all if there are fewer; returns how many."""
        count = min(count, self._available)
        self._start = (self._start + count) % self._capacity
        self._available -= count
        return count

    def clear(self) -> None:
        """Drop everything; an empty buffer starts anew."""
        self._start = self._available = 0

    def _claim(self, count: int) -> int:
        """Make room for `count` frames at the end; returns the index of the first of them."""
        if count > self._capacity - self._available:
            raise ValueError(f"{count} frames do not fit, {self.free} of {self._capacity} are free")
        end = (self._start + self._available) % self._capacity
        self._available += count
        return end
