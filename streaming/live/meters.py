"""The time that a live stream's callbacks take, and what went wrong, for whoever looks.

One writer (the audio thread), one reader (the main thread), no lock: every field is a number or an
element of an array made beforehand, and Python's interpreter lock makes each store whole. A reader
that comes between two stores sees two figures of neighbouring blocks, which no meter shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Blocks whose durations the percentiles look back on: 11 s of 128-frame blocks at 48 kHz.
HISTORY = 4096


@dataclass(frozen=True)
class Meters:
    """A reading. Counts are since the start."""

    block: int  # frames of the latest callback
    block_ms: float  # the time such a block lasts: what a callback may take
    callbacks: int
    overloads: int  # callbacks that took longer than their block lasts
    xruns: int  # callbacks that PortAudio flagged with lost input or output
    faults: int  # callbacks that failed and gave silence
    process_p50_ms: float  # of a callback, or of a network beside it, over the last HISTORY
    process_p99_ms: float

    def share_of_block(self, milliseconds: float) -> float:
        """`milliseconds` as a fraction of the block, 0 before the first callback."""
        return milliseconds / self.block_ms if self.block_ms else 0.0


class MeterBoard:
    """The counters behind `Meters`. The audio thread writes its fields, `read` looks at them."""

    def __init__(self, sample_rate: float) -> None:
        self._sample_rate = sample_rate
        self._nanoseconds = np.zeros(HISTORY, np.int64)
        self.block = 0
        self.callbacks = 0
        self.overloads = 0
        self.xruns = 0
        self.faults = 0

    def finish(self, frames: int, nanoseconds: int, beside: int = 0) -> None:
        """Books a callback of `frames` that took `nanoseconds`, while a network that it does not
        wait for computed for so many `beside` it. Audio thread, last in the block.
        """
        self.block = frames
        self._nanoseconds[self.callbacks % HISTORY] = max(nanoseconds, beside)
        if 0 < frames * 1e9 < nanoseconds * self._sample_rate:
            self.overloads += 1
        self.callbacks += 1

    def read(self) -> Meters:
        """The figures now. Main thread."""
        callbacks = self.callbacks
        # Sorted: numpy's percentiles take eight times as long, beside the audio thread.
        taken = np.sort(self._nanoseconds[: min(callbacks, HISTORY)])
        return Meters(
            block=self.block,
            block_ms=1e3 * self.block / self._sample_rate,
            callbacks=callbacks,
            overloads=self.overloads,
            xruns=self.xruns,
            faults=self.faults,
            process_p50_ms=_quantile(taken, 0.5),
            process_p99_ms=_quantile(taken, 0.99),
        )


def _quantile(ascending: NDArray[np.int64], share: float) -> float:
    """In milliseconds, of ascending nanoseconds, in a line between the two nearest; 0 of none."""
    if not len(ascending):
        return 0.0
    place = share * (len(ascending) - 1)
    low, high = ascending[int(place)], ascending[math.ceil(place)]
    return float(low + (place - int(place)) * (high - low)) * 1e-6
