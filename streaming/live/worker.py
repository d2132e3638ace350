"""The worker schedule: a processor on a thread of its own, one block behind the audio thread.

A network may so take a whole block's time, whatever else there is to do in the audio thread's
cycle, and where it takes longer no driver loses a block. The price is one block of delay.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..processor import Processor
from ..rights import take_realtime

Samples = NDArray[np.float32]

# How many of the largest blocks may be on their way; of a longer backlog the oldest are lost.
_DEPTH = 4
# Frames over which sound goes to silence and back, where a block came too late.
_FADE = 64
# After blocks that the network made late it rests, so that most come in time; masks may be held for
# as long.
_LONGEST_REST_NS = 80_000_000
# How long an audio thread that may wait sleeps between two looks.
_POLL_S = 1e-4


class _Order(NamedTuple):
    """Of the stream `epoch`, the block of `frames` at `begin`, to be there at `due_ns`.

    `block`, in an epoch's first, is the size to arm the processor for, 0 for sizes that vary.
    """

    epoch: int
    begin: int
    frames: int
    due_ns: int
    block: int | None


class Worker:
    """Blocks (frames, `channels`) through a prepared `processor`, `delay` frames later than by it.

    The audio thread hands a block over and gets what was made of those before. It waits for nothing
    unless `waits` is set, which any thread may do. What is not there in time is silence, the sound
    being faded out and in again; it is counted in `Counters.dropped` and not heard later, since
    each sample has its place: the delay never grows.

    A block that has become due before its turn goes through without the network, as late blocks do
    in `Processor.prepare`, so that a backlog is soon worked off. So do 1, 2, 4, ... blocks, for
    80 ms at most, after each of a row that the network made late. Where a backlog is longer than
    four of the largest blocks, the oldest are not processed, and the processor begins anew.

    `fault` is told what `process` raises. Nobody else may call the processor's methods of the audio
    thread until `close`; parameters may be set.
    """

    def __init__(
        self,
        processor: Processor,
        channels: int,
        max_block: int,
        sample_rate: int,
        fault: Callable[[Exception], None],
    ) -> None:
        self._processor, self._fault = processor, fault
        self._counters = processor.counters
        self._frame_ns = 1e9 / sample_rate
        self._max_block = max_block
        self._heard = np.zeros((_DEPTH * max_block, channels), np.float32)
        self._given = np.zeros_like(self._heard)
        self._block = np.zeros((2, max_block, channels), np.float32)
        self._falling = np.linspace(1.0, 0.0, _FADE, dtype=np.float32)[:, np.newaxis]
        self._rising = self._falling[::-1].copy()
        # Its `put` takes no lock, see `WindowThread`.
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        # The audio thread's: the stream, where it starts, frames handed in of this and all before.
        self._epoch = self._start = self._written = 0
        self._arm_for: int | None = None
        # Where sound broke off, where the block before ended, and how far the fades have come.
        self._last, self._end = np.zeros((2, channels), np.float32)
        self._fallen = self._risen = _FADE
        self._fading = np.zeros((_FADE, channels), np.float32)
        self.delay = 0
        # The thread's: up to where it has made frames, and how long that took.
        self._made = 0
        self._skipped = False
        self._pause = self._rest = 0  # blocks that go without the network after an overrun, and yet
        self._longest_ns = 0
        self.waits = False
        self._thread = threading.Thread(target=self._work, name="soloist-worker", daemon=True)
        self._thread.start()

    def arm(self, block: int | None, largest: int) -> None:
        """Begin anew for blocks of that size, or, with None, of any up to `largest` frames.

        Before the first block and later. The stream then has a gap, as long as the latency. Audio
        thread.
        """
        self._epoch += 1
        self._start = self._written
        self._arm_for = block or 0
        self._fallen = self._risen = _FADE
        self.delay = block or largest

    def process(self, audio: Samples, out: Samples) -> None:
        """A block in, as much out, both (frames, channels). Audio thread."""
        for at in range(0, len(audio), self._max_block):
            part = slice(at, at + self._max_block)
            self._exchange(audio[part], out[part])

    def longest_ns(self) -> int:
        """What a block took at most since this was last asked. Audio thread."""
        longest, self._longest_ns = self._longest_ns, 0
        return longest

    def close(self, limit_s: float = 2.0) -> bool:
        """End the thread; whether it has ended within the limit. Control thread, not playing."""
        self._orders.put(None)
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _exchange(self, audio: Samples, out: Samples) -> None:
        frames = len(audio)
        if frames > self.delay:  # sizes vary, and this is the largest so far
            self.arm(None, frames)
        begin = self._written
        _write(self._heard, begin, audio)
        self._written = begin + frames
        due = time.perf_counter_ns() + int(self.delay * self._frame_ns)
        self._orders.put(_Order(self._epoch, begin, frames, due, self._arm_for))
        self._arm_for = None
        first = begin - self.delay
        while self.waits and self._made < first + frames and self._thread.is_alive():
            time.sleep(_POLL_S)
        lead = min(frames, max(0, self._start - first))  # before there was anything
        ready = min(frames, max(lead, self._made - first))
        out[:lead] = 0.0
        _read(self._given, first + lead, out[lead:ready])
        self._smooth(out, lead, ready)

    def _smooth(self, out: Samples, lead: int, ready: int) -> None:
        """Let what breaks off at `ready` fade out, and what comes after that fade in.

        Fades go on in the next block, and where the one is not done yet both are heard.
        """
        sound, missing = out[lead:ready], out[ready:]
        count = min(_FADE - self._risen, len(sound))
        sound[:count] *= self._rising[self._risen : self._risen + count]
        self._risen += count
        self._fall(sound)
        if len(missing):
            self._counters.dropped += 1
            if self._risen:
                np.copyto(self._last, out[ready - 1] if ready else self._end)
                self._fallen = self._risen = 0
            missing.fill(0.0)
            self._fall(missing)
        np.copyto(self._end, out[-1])

    def _fall(self, part: Samples) -> None:
        """Add what is left of the fade out."""
        count = min(_FADE - self._fallen, len(part))
        fading = self._fading[:count]
        np.multiply(self._falling[self._fallen : self._fallen + count], self._last, out=fading)
        part[:count] += fading
        self._fallen += count

    def _work(self) -> None:
        take_realtime()
        while (order := self._orders.get()) is not None:
            if order.epoch == self._epoch:
                self._make(order)

    def _make(self, order: _Order) -> None:
        began = time.perf_counter_ns()
        heard, given = self._block[0, : order.frames], self._block[1, : order.frames]
        try:
            if order.block is not None:
                self._processor.set_block(order.block or None)
            _read(self._heard, order.begin, heard)
            if self._written - order.begin > len(self._heard):  # others lie there by now
                self._skipped = True
                return
            if self._skipped:
                self._processor.reset()
            self._skipped = False
            self._processor.process(heard, given, due_ns=order.due_ns if not self._rest else 1)
        except Exception as fault:
            given.fill(0.0)
            self._fault(fault)
        _write(self._given, order.begin, given)
        self._made = order.begin + order.frames
        ended = time.perf_counter_ns()
        self._longest_ns = max(self._longest_ns, ended - began)
        self._take_rest(order, began, ended)

    def _take_rest(self, order: _Order, began: int, ended: int) -> None:
        if self._rest:
            self._rest -= 1
        elif ended <= order.due_ns:
            self._pause = 0
        elif began < order.due_ns:
            longest = max(1, int(_LONGEST_REST_NS / (order.frames * self._frame_ns)))
            self._rest = self._pause = min(2 * self._pause or 1, longest)


def _write(ring: Samples, position: int, block: Samples) -> None:
    """Lay `block` into `ring` from `position` on, round its end."""
    start = position % len(ring)
    first = min(len(block), len(ring) - start)
    ring[start : start + first] = block[:first]
    ring[: len(block) - first] = block[first:]


def _read(ring: Samples, position: int, out: Samples) -> None:
    """Fill `out` with what lies in `ring` from `position` on."""
    start = position % len(ring)
    first = min(len(out), len(ring) - start)
    out[:first] = ring[start : start + first]
    out[first:] = ring[: len(out) - first]
