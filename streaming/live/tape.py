"""Audio on its way from the audio thread to one that writes files, without a lock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class Tape:
    """A ring of `capacity` frames of input and stems, with one writer and one reader.

    `put` never waits and allocates nothing. Where the reader is too slow, frames are lost until it
    has read all that there was; they are counted, and the reader is told where they are missing.
    So there is at most one gap at a time, and one number holds it: the reader sees it before the
    frames after it, since each side moves its own count last (and Python's interpreter lock makes
    each store whole).
    """

    def __init__(self, stems: int, capacity: int, channels: int) -> None:
        self._frames = np.empty((1 + stems, capacity, channels), np.float32)
        self._frames.fill(0.0)  # touched now: the system hands out the memory here and not in `put`
        self.capacity = capacity
        self._written = 0
        self._read = 0
        self._gap = 0  # frames missing before the next one to be read
        self._losing = 0  # frames lost since the tape was full; 0 while it takes them
        self.lost = 0

    def put(self, dry: Samples, stems: Samples) -> None:
        """Take `dry` (frames, channels) and `stems` (stems, frames, channels). Audio thread."""
        count, free = len(dry), self.capacity - (self._written - self._read)
        if count == 0:  # a gap is told of with the frames after it, so there must be one
            return
        if count > free or (self._losing and free < self.capacity):
            self._losing += count
            self.lost += count
            return
        if self._losing:
            self._gap, self._losing = self._losing, 0
        write_round(self._frames, self._written, dry, stems)
        self._written += count

    def take_gap(self) -> int:
        """How many frames are missing before what `peek` shows; asked once. Reader, after it."""
        gap, self._gap = self._gap, 0
        return gap

    def peek(self) -> Samples:
        """The oldest frames (1 + stems, frames, channels), in place, as many as lie in one piece.

        They are good until `drop`. Reader.
        """
        start = self._read % self.capacity
        end = min(self.capacity, start + self._written - self._read)
        return self._frames[:, start:end]

    def drop(self, count: int) -> None:
        """Let go of the `count` oldest frames. Reader."""
        self._read += count


def write_round(frames: Samples, position: int, dry: Samples, stems: Samples) -> None:
    """Lay `dry` and `stems`, as `Tape.put` takes them, into `frames` (1 + stems, capacity,
    channels) from `position` on, round its end. At most `capacity` of them. Audio thread."""
    count, capacity = len(dry), frames.shape[1]
    start = position % capacity
    first = min(count, capacity - start)
    frames[0, start : start + first] = dry[:first]
    frames[1:, start : start + first] = stems[:, :first]
    if first < count:
        frames[0, : count - first] = dry[first:]
        frames[1:, : count - first] = stems[:, first:]
