"""Audio from one clock to another: a buffer between two callbacks, and a resampler that steers it.

Callbacks come in blocks, so the fill that a reader finds is a sawtooth of a whole block, and where
two clocks nearly agree its beat is as slow as the loop that should not follow it. What is measured
is therefore not the fill but the delay: how many samples the input's clock has counted by now, the
newest block's number plus the time since it came, less the position of the next output sample.

The converter is `sinc_fastest` of libsamplerate: at a ratio that changes it leaves 104 dB and more
below a tone of 1 kHz, as much as the two longer filters do, for 10 µs a block of 128 instead of 18
and 65. Its ratio goes straight from one block's value to the next one's, so it never jumps. It
passes what is below 0.4 of the rate.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .drift import LARGEST_SPEED, DriftLoop
from .latency import Latency
from .resampling import CONVERTER, samples_ahead

Samples = NDArray[np.float32]

# A delay that is off by more than this for longer than that is not left to the loop, which would
# need seconds: a driver has lost audio, or given some twice.
_LARGEST_ERROR_S = 2e-3
_PATIENCE_S = 0.25


class ClockBridge:
    """A queue of audio frames whose two ends are on two clocks, both of about `sample_rate` Hertz.

    One thread writes blocks, one other reads them, neither waits, nothing is locked. Blocks
    (frames, `channels`) have at most `max_block` frames, of one or of changing sizes.

    The delay is that of the sizes so far: the longest block of either side, which the other may
    just have missed; the filter; and `margin` samples, by which callbacks may come late. A longer
    block than any before makes it grow, nothing else does: where there is too little to read, or
    far too much, silence or a leap restores it, and `underruns` or `overruns` counts that.

    `now` is the time in nanoseconds of any one clock, taken at the start of the callback.
    """

    def __init__(self, sample_rate: int, channels: int, max_block: int, margin: int) -> None:
        import samplerate  # here, since with one device nobody needs it

        self.sample_rate, self.max_block = sample_rate, max_block
        self._margin = margin
        self._ahead = samples_ahead(1.0 / (1.0 + LARGEST_SPEED)) + 1
        # The longest delay, as much again for an output that pauses, a block being written.
        longest = 2 * max_block + self._ahead + margin
        self._ring = np.zeros((2 * longest + max_block, channels), np.float32)
        self._converter = samplerate.CallbackResampler(self._take, 1.0, CONVERTER, channels)
        self._loop = DriftLoop()
        # The writer's: frames written in all, when the last came, the longest block. One object,
        # put in place by one store, so a reader sees all of it or none.
        self._input = (0, 0, 0)
        # The reader's: the input position of the next output, the end of what it has seen and of
        # what the converter was given.
        self._position = 0.0
        self._seen = self._given = 0
        self._longest_in = self._longest_out = 0
        self._running = False
        self._off = 0  # output frames since the delay was last about right
        self.underruns = 0
        self.overruns = 0

    @property
    def latency(self) -> Latency:
        """From a sample at the input's converter to the block in which it is read.

        Its first part is what any block takes to be collected.
        """
        return Latency(
            self.sample_rate,
            (
                ("block collected", self._longest_in),
                ("clock bridge", self._longest_out + self._margin),
                ("resampler", self._ahead),
            ),
        )

    @property
    def speed(self) -> float:
        """Input samples that an output sample takes, less one: what the clocks disagree by."""
        return self._loop.speed

    def write(self, block: Samples, now: int) -> None:
        """Append `block`. The input's thread."""
        written, _, longest = self._input
        count, size = len(block), len(self._ring)
        at = written % size
        first = min(count, size - at)
        self._ring[at : at + first] = block[:first]
        self._ring[: count - first] = block[first:]
        self._input = (written + count, now, max(longest, count))

    def read(self, out: Samples, now: int) -> None:
        """Fill `out`, with zeros where there is nothing yet or any more. The output's thread."""
        self._seen, wrote, longest = self._input
        if longest > self._longest_in or len(out) > self._longest_out:
            self._longest_in = max(longest, self._longest_in)
            self._longest_out = max(len(out), self._longest_out)
            self._running = False
        # Nobody knows what a block that is overdue will bring, so none is taken to be.
        since = min((now - wrote) * 1e-9 * self.sample_rate, self._longest_in)
        aim = self._seen + since - self.latency.total
        if self._running:
            self._watch(aim, len(out))
        if not self._running and not self._start(aim):
            out.fill(0.0)
            return
        before = self._loop.speed
        speed = self._loop.update(
            (aim - self._position) / self.sample_rate, len(out) / self.sample_rate
        )
        end = self._position + len(out) * (1.0 + 0.5 * (before + speed))
        if end + self._ahead > self._seen:
            self.underruns += 1
            self._running = False
            out.fill(0.0)
            return
        self._converter.ratio = 1.0 / (1.0 + speed)
        out[:] = self._converter.read(len(out)).reshape(out.shape)
        self._position = end

    def _watch(self, aim: float, frames: int) -> None:
        """Whether what comes next is still there and about as late as it should be."""
        error = aim - self._position
        if abs(error) < _LARGEST_ERROR_S * self.sample_rate:
            self._off = 0
        else:
            self._off += frames
        # The writer may be within a block that it has not counted yet.
        lost = self._position < self._seen + self.max_block - len(self._ring)
        if lost or self._off > _PATIENCE_S * self.sample_rate:
            self._running = False
            if error > 0.0:
                self.overruns += 1
            else:
                self.underruns += 1

    def _start(self, aim: float) -> bool:
        """Whether the delay can be made what it should be, and has been; nothing is heard twice."""
        if not self._longest_in or aim < self._position:
            return False
        self._given = math.floor(aim)
        self._position = float(self._given)
        self._converter.reset()
        self._loop.recentre()
        self._converter.set_starting_ratio(1.0 / (1.0 + self._loop.speed))
        self._off = 0
        self._running = True
        return True

    def _take(self) -> Samples:
        """The frames that have come, as they lie in the ring, for the converter."""
        at = self._given % len(self._ring)
        frames = self._ring[at : at + self._seen - self._given]
        self._given += len(frames)
        return frames
