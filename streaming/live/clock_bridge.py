"""Audio from one clock to another: a buffer between two callbacks, and a resampler that steers it.

Callbacks come in blocks, so the fill that a reader finds is a sawtooth of a whole block, and where
two clocks nearly agree its beat is as slow as the loop that should not follow it. What is measured
is therefore not the fill but the delay: how many samples the input's clock has counted by now, the
newest block's number plus the time since it came, less the position of the next output sample.

The converter is `sinc_fastest` of libsamplerate: at a ratio that changes it leaves 104 dB and more
below a tone of 1 kHz, as much as the two longer filters do, for 10 µs a block of 128 instead of 18
and 65. Its ratio goes straight from one block's value to the next one's, so it never jumps. It
loses 0.8 dB at 0.38 and 2.8 dB at 0.4 of the rate, and nothing to speak of below.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..latency import Latency
from ..resampling import CONVERTER, samples_ahead
from .drift import LARGEST_SPEED, DriftLoop

Samples = NDArray[np.float32]

# A delay that is off by more than this for longer than that is not left to the loop, which would
# need seconds: a driver has lost audio, or given some twice. Where nothing is heard, there is less
# to wait for.
_LARGEST_ERROR_S = 1e-3
_PATIENCE_S = 0.25
_SILENT_PATIENCE_S = 0.05


class ClockBridge:
    """A queue of audio frames whose two ends are on two clocks, both of about `sample_rate` Hertz.

    One thread writes blocks, one other reads them, neither waits, nothing is locked. Blocks
    (frames, `channels`) have at most `max_block` frames, of one or of changing sizes.

    The delay is that of the sizes so far: the longest block of either side, which the other may
    just have missed; the filter; and `margin` samples, by which callbacks may come late. A longer
    block than any before makes it grow, nothing else does. Samples that come too late are silence
    and not heard later; where a device has lost some, or paused, a leap restores the delay. Both
    are counted, in `underruns` and `overruns`.

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
        # The reader's: the input position of the next output, whether that was ever set, the end of
        # what has been heard, of what has come, and of what the converter was given.
        self._position = self._heard = 0.0
        self._aimed = self._sounding = False
        self._seen = self._given = 0
        self._longest_in = self._longest_out = self._delay = 0
        # Output frames since the delay was last about right, and the error summed over them.
        self._off, self._off_by = 0, 0.0
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
        frames = len(out)
        self._seen, wrote, longest = self._input
        if longest > self._longest_in or frames > self._longest_out:
            self._longest_in = max(longest, self._longest_in)
            self._longest_out = max(frames, self._longest_out)
            self._delay = self.latency.total
            self._aimed = False
        before = speed = self._loop.speed
        since = (now - wrote) * 1e-9 * self.sample_rate
        # A block that is overdue may come or not: until then nothing is known of the input's time.
        if since <= self._longest_in + self._margin:
            aim = self._seen + since - self._delay
            self._keep_to(aim, frames)
            error = (aim - self._position) / self.sample_rate
            before = self._loop.speed
            speed = self._loop.update(error, frames / self.sample_rate)
        advance = frames * (1.0 + 0.5 * (before + speed))
        if self._ready(self._position + advance, before):
            self._converter.ratio = 1.0 / (1.0 + speed)
            out[:] = self._converter.read(frames).reshape(out.shape)
            self._heard = self._position + advance
        else:
            out.fill(0.0)
        # In silence, too: what comes late does not make what follows late.
        self._position += advance

    def _keep_to(self, aim: float, frames: int) -> None:
        """Move the position to `aim`, where it should be, if the loop is not to do that."""
        error = aim - self._position
        if self._aimed:
            if abs(error) < _LARGEST_ERROR_S * self.sample_rate:
                self._off, self._off_by = 0, 0.0
            else:
                self._off += frames
                self._off_by += frames * error
            # The writer may be within a block that it has not counted yet.
            lost = self._position < self._seen + self.max_block - len(self._ring)
            patience = _PATIENCE_S if self._sounding else _SILENT_PATIENCE_S
            if not lost and self._off < patience * self.sample_rate:
                return
            if self._sounding and error > 0.0:
                self.overruns += 1
            elif self._sounding:
                self.underruns += 1
            if not lost:  # one callback may be late: the mean is what counts
                error = self._off_by / self._off
        self._position += error
        self._aimed, self._sounding = True, False
        self._off, self._off_by = 0, 0.0
        self._loop.recentre()

    def _ready(self, end: float, speed: float) -> bool:
        """Whether output up to the input position `end` can be made, nothing being heard twice."""
        there = end + self._ahead <= self._seen
        if self._sounding:
            self._sounding = there
            self.underruns += not there
        elif there and self._position >= self._heard:
            self._sounding = True
            self._given = math.floor(self._position)  # the converter begins on a whole sample
            self._position = float(self._given)
            self._converter.reset()
            self._converter.set_starting_ratio(1.0 / (1.0 + speed))
        return self._sounding

    def _take(self) -> Samples:
        """The frames that have come, as they lie in the ring, for the converter."""
        at = self._given % len(self._ring)
        frames = self._ring[at : at + self._seen - self._given]
        self._given += len(frames)
        return frames
