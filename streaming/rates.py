"""A host at another rate than the model's: hops out of its blocks, and stems at its rate again."""

import math

import numpy as np
from numpy.typing import NDArray

from .counters import Counters
from .engine import Engine
from .latency import Latency
from .rate_plan import RateRoute
from .resampling import StreamResampler
from .stem_queue import StemQueue

Samples = NDArray[np.float32]


class RateAdapter:
    """`BlockAdapter` between rates: blocks at `sample_rate` Hertz, an engine at its own rate.

    The stems lie on the input to the sample, at a constant delay of whole samples, `latency`.
    What is above the lower of the two rates' bands is in no stem. Call `rearm` first. Raises
    `ValueError` for rates too far apart, or more channels than can be resampled. Blocks beyond
    `max_frames` go through in pieces.

    In `process` nothing is allocated but what the resamplers return.
    """

    def __init__(
        self, engine: Engine, counters: Counters, sample_rate: int, max_frames: int
    ) -> None:
        self._engine = engine
        self._sample_rate = sample_rate
        self._max_frames = max_frames
        outputs, channels, hop = engine.out.shape
        self._finished = np.moveaxis(engine.out, -1, 0)
        self._inward = StreamResampler(sample_rate, engine.sample_rate, (channels,), max_frames)
        self._outward = StreamResampler(engine.sample_rate, sample_rate, (outputs, channels), hop)
        self._route = RateRoute(
            self._inward.step,
            hop,
            sum(samples for _, samples in engine.latency),
            self._inward.ahead,
            self._outward.ahead,
            self._outward.start_for,
        )
        self._plan = self._route.plan(None)
        # The longest silence, or a block, a hop that is finished with it, and what rounding adds.
        capacity = self._plan.delay + max_frames + math.ceil(hop * self._inward.step) + 2
        self._queue = StemQueue(capacity, (outputs, channels), counters)
        self._fill = 0

    @property
    def latency(self) -> Latency:
        """Samples at the host's rate from a block handed in to its stems."""
        parts = []
        done = at_model = 0
        for name, samples in self._engine.latency:
            at_model += samples
            until = math.floor(at_model * self._route.step)
            parts.append((name, until - done))
            done = until
        parts.append(("block adapter", self._plan.adapter))
        parts.append(("resampler", self._plan.delay - done - self._plan.adapter))
        return Latency(self._sample_rate, tuple(parts))

    @property
    def tail(self) -> int:
        """Samples for which stems may go on after those of the last input sample.

        The engine's own, and the filters', each as long after a sample as it is before it.
        """
        after = self._engine.tail + self._outward.ahead + 1
        return self._inward.ahead + 1 + math.ceil(after * self._route.step)

    def rearm(self, block: int | None) -> None:
        """Start anew for blocks of that size, None if it varies; fixes the latency.

        The input in the resamplers and part of a hop are dropped. Audio thread.
        """
        plan = self._plan = self._route.plan(block)
        self._inward.restart()
        self._outward.restart(plan.start)
        self._queue.restart(plan.silence)
        self._engine.newest[:, : plan.pad] = 0.0
        self._fill = plan.pad

    def process(self, audio: Samples, stems: Samples) -> None:
        """Pass a block: `audio` (frames, channels), finite, `stems` (frames, stems, channels)."""
        for start in range(0, len(audio), self._max_frames):
            end = start + self._max_frames
            self._take(self._inward.process(audio[start:end]))
            self._queue.fill(stems[start:end])

    def _take(self, samples: Samples) -> None:
        """Samples at the model's rate into hops, their stems into the queue."""
        engine, fill, done = self._engine, self._fill, 0
        while done < len(samples):
            count = min(engine.hop - fill, len(samples) - done)
            engine.newest[:, fill : fill + count] = samples[done : done + count].T
            fill += count
            done += count
            if fill == engine.hop:
                engine.step()
                self._queue.write(self._outward.process(self._finished))
                fill = 0
        self._fill = fill
