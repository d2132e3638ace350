"""The signal flow of a prepared processor.

block ─┬─ path: hops, engine, blocks again ── stems ──┬── mixer, limiter ── block
       └─ dry: the same delay ────────────────────────┘
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .counters import Counters
from .dry import DryPath
from .engine import Engine
from .latency import Latency
from .mixer import Mixer, Splitter
from .settings import Settings

Samples = NDArray[np.float32]


# Is handed the input as it leaves the dry path (frames, channels) and the stems of the same moment
# (stems, frames, channels), which are good until it returns.
Tap = Callable[[Samples, Samples], None]


class Change(NamedTuple):
    """A parameter takes a plain value from a frame of the block on."""

    frame: int
    parameter: str
    value: float


class Path(Protocol):
    """Blocks (frames, channels) to stems (frames, stems, channels), `latency` samples later."""

    @property
    def latency(self) -> Latency: ...
    @property
    def tail(self) -> int: ...
    def rearm(self, block: int | None) -> None: ...
    def process(self, audio: Samples, stems: Samples) -> None: ...


class Chain:
    """Everything that `Processor.prepare` allocates, joined up. Audio thread.

    `rearm` before the first block. `realtime` gives each block as long as it lasts. Blocks longer
    than `max_block` go through in pieces.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        outlet: Mixer | Splitter,
        settings: Settings,
        counters: Counters,
        channels: int,
        max_block: int,
        *,
        realtime: bool,
    ) -> None:
        self._engine, self._path, self._outlet = engine, path, outlet
        self._settings = settings
        path.rearm(None)  # the longest delay there is
        self._max_block = max_block
        self._dry = DryPath(channels, max_block, path.latency.total, counters)
        self._stems = np.zeros((len(engine.out), max_block, channels), np.float32)
        self.taps: tuple[Tap, ...] = ()
        self._overdue_ns = 0.0
        self.set_realtime(realtime)

    @property
    def latency(self) -> Latency:
        """From a block handed in to the same audio handed out."""
        return self._path.latency

    @property
    def tail(self) -> int:
        """Samples for which output may go on after that of the last input sample."""
        return self._path.tail

    def set_realtime(self, realtime: bool) -> None:
        """Whether each block has as long as it lasts, or any time. Any thread."""
        self._frame_ns = 1e9 / self._path.latency.sample_rate if realtime else 0.0

    def rearm(self, block: int | None) -> None:
        """Silence in the queues, for blocks of that size or of any."""
        self._path.rearm(block)
        self._dry.rearm(self._path.latency.total)

    def reset(self, block: int | None) -> None:
        """Start anew, as if nothing had been played."""
        self._engine.reset()
        self._outlet.reset()
        self._overdue_ns = 0.0
        self.rearm(block)

    def set_conditioning(self, conditioning: Samples) -> None:
        """Other words, [Q, D], from the next hop on. Any thread."""
        self._engine.set_conditioning(conditioning)

    def process(
        self, audio: Samples, out: Samples, changes: Sequence[Change], due_ns: int = 0
    ) -> None:
        """A block: `audio` (frames, channels), `out` (..., frames, channels) as the outlet's.

        `changes` are in the order of their frames.
        """
        frames, waiting = len(audio), 0
        began = self._start_clock(frames, due_ns)
        for start in range(0, frames, self._max_block):
            end = min(frames, start + self._max_block)
            self._engine.begin_block()
            clean = self._dry.clean(audio[start:end])
            stems = self._stems[:, : end - start]
            self._path.process(clean, stems.swapaxes(0, 1))
            dry = self._dry.delay(clean)
            for tap in self.taps:
                tap(dry, stems)
            at = start
            while waiting < len(changes) and changes[waiting].frame < end:
                change = changes[waiting]
                self._mix(stems, dry, out, start, at, change.frame)
                self._settings[change.parameter] = change.value
                at, waiting = change.frame, waiting + 1
            self._mix(stems, dry, out, start, at, end)
        for change in changes[waiting:]:
            self._settings[change.parameter] = change.value
        self._stop_clock(frames, began)

    def separate(self, audio: Samples, stems: Samples) -> None:
        """Only the path: `audio` (frames, channels), `stems` (stems, frames, channels)."""
        for start in range(0, len(audio), self._max_block):
            self._engine.begin_block()
            part = slice(start, start + self._max_block)
            self._path.process(self._dry.clean(audio[part]), stems[:, part].swapaxes(0, 1))

    def _mix(
        self, stems: Samples, dry: Samples, out: Samples, start: int, begin: int, end: int
    ) -> None:
        if begin < end:
            part = slice(begin - start, end - start)
            self._outlet.mix(stems[:, part], dry[part], out[..., begin:end, :])

    def _start_clock(self, frames: int, due_ns: int) -> int:
        """When the block began, 0 where nobody needs to know."""
        if not self._frame_ns or due_ns:
            self._engine.deadline_ns = due_ns if self._frame_ns else 0
            return 0
        began = time.perf_counter_ns()
        # What the block before took too long is missing now, but not for ever: a driver has lost
        # the blocks of a long stall, and waits for none of them.
        budget = max(0.0, frames * self._frame_ns - self._overdue_ns)
        self._engine.deadline_ns = began + int(budget)
        return began

    def _stop_clock(self, frames: int, began: int) -> None:
        if began:
            lasts = frames * self._frame_ns
            over = time.perf_counter_ns() - began - lasts
            self._overdue_ns = min(max(0.0, over), lasts)
