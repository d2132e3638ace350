"""Blocks of any size on one side, hops on the other, a fixed delay in between."""

import numpy as np
from numpy.typing import NDArray

from .counters import Counters
from .engine import Engine
from .latency import Latency, adapter_delay
from .stem_queue import StemQueue

Samples = NDArray[np.float32]


class BlockAdapter:
    """Feeds an engine whole hops out of blocks of any size, and fills as large blocks with stems.

    Input collects in the engine's own place for it; output waits in a queue that starts with
    `latency.adapter_delay` zeros, just enough that each block can be filled. Call `rearm` first.
    """

    def __init__(self, engine: Engine, counters: Counters) -> None:
        self._engine = engine
        self._hop = engine.hop
        # Frames first: (hop, stems, channels), as blocks and queue have them.
        self._finished = np.moveaxis(engine.out, -1, 0)
        self._queue = StemQueue(2 * self._hop, self._finished.shape[1:], counters)
        self._fill = 0
        self._delay = 0

    @property
    def latency(self) -> Latency:
        """Samples from a block handed in to its stems.

        The hop that the engine collects is not in it: where blocks are whole hops, it has arrived
        with the block.
        """
        parts = (*self._engine.latency, ("block adapter", self._delay))
        return Latency(self._engine.sample_rate, parts)

    @property
    def tail(self) -> int:
        """Samples for which stems may go on after those of the last input sample."""
        return self._engine.tail

    def rearm(self, block: int | None) -> None:
        """Start anew for blocks of that size, None if it varies; fixes the latency.

        Part of a hop of input is dropped, the zeros are queued anew. Audio thread.
        """
        self._delay = adapter_delay(self._hop, block)
        self._queue.restart(self._delay)
        self._fill = 0

    def process(self, audio: Samples, stems: Samples) -> None:
        """Pass a block: `audio` (frames, channels), `stems` (frames, stems, channels).

        Piece by piece, each up to the end of a hop, so that the queue never holds more than two.
        """
        engine, hop, fill = self._engine, self._hop, self._fill
        done, frames = 0, len(audio)
        while done < frames:
            count = min(hop - fill, frames - done)
            end = done + count
            engine.newest[:, fill : fill + count] = audio[done:end].T
            fill += count
            if fill == hop:
                engine.step()
                self._queue.write(self._finished)
                fill = 0
            self._queue.fill(stems[done:end])
            done = end
        self._fill = fill
