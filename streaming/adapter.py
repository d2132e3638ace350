"""Blocks of any size on one side, hops on the other, a fixed delay in between."""

import numpy as np
from numpy.typing import NDArray

from .counters import Counters
from .engine import Engine
from .ring import RingBuffer

Samples = NDArray[np.float32]


class BlockAdapter:
    """Feeds an engine whole hops out of blocks of any size, and fills as large blocks with them.

    Input collects in the engine's own place for it; output waits in a queue that starts with
    `delay` zeros (`latency.adapter_delay`), just enough that each block can be filled.
    """

    def __init__(self, engine: Engine, hop: int, counters: Counters) -> None:
        self._engine = engine
        self._hop = hop
        self._counters = counters
        # Frames first: (hop, channels) or (hop, outputs, channels), as blocks and queue have them.
        self._finished = np.moveaxis(engine.out, -1, 0)
        self._queue = RingBuffer(2 * hop, self._finished.shape[1:])
        self._fill = 0
        self._debt = 0

    def rearm(self, delay: int) -> None:
        """Empty the adapter: part of a hop of input is dropped, the zeros are queued anew."""
        self._queue.clear()
        self._queue.write_silence(delay)
        self._fill = self._debt = 0

    def process(self, audio: Samples, out: Samples) -> None:
        """Pass a block of frames: `audio` (frames, channels), `out` as the engine's, frames first.

        Piece by piece, each up to the end of a hop, so that the output never gets ahead of the
        input (they may be the same memory) and the queue never holds more than two hops.
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
            self._emit(out[done:end])
            done = end
        self._fill = fill

    def _emit(self, block: Samples) -> None:
        """Fill a piece of output from the queue.

        A host that breaks its promised block size can find it empty. The missing samples are
        zeros, and as many are dropped when they come, so that the latency stays as reported.
        """
        queue = self._queue
        if self._debt:
            self._debt -= queue.skip(self._debt)
        missing = len(block) - queue.read(block)
        if missing:
            block[len(block) - missing :] = 0.0
            self._debt += missing
            self._counters.shortfall += missing
