"""Where the time of a hop goes: each part's own time, those it calls taken out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from ..runtime.denormals import FlushDenormals
from ..streaming.adapter import BlockAdapter
from ..streaming.chain import Chain
from ..streaming.dry import DryPath
from ..streaming.engine import Engine
from ..streaming.guard import Guard
from ..streaming.mixer import Mixer
from ..streaming.processor import Processor
from ..streaming.stem_queue import StemQueue
from ..streaming.stft import StreamingISTFT, StreamingSTFT
from .hops import Player, TimedSession, play

PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    "input checked and copied": ((DryPath, "clean"), (BlockAdapter, "process")),
    "window and FFT": ((StreamingSTFT, "analyse"), (StreamingSTFT, "advance")),
    "network": ((TimedSession, "step"),),
    "faults looked for": ((Guard, "inspect"),),
    "inverse FFT, overlap-add": ((StreamingISTFT, "synthesise"),),
    "output queue": ((StemQueue, "write"), (StemQueue, "fill")),
    "dry delay line": ((DryPath, "delay"),),
    "mix and limiter": ((Mixer, "mix"),),
    "denormals off and on": ((FlushDenormals, "__enter__"), (FlushDenormals, "__exit__")),
    "calls between them": ((Processor, "process"), (Chain, "process"), (Engine, "step")),
}


class Clock:
    """Notes, hop by hop, the nanoseconds in which each part was the innermost one running.

    What the clock itself does between two parts counts for neither.
    """

    def __init__(self, parts: int) -> None:
        self._spent = [0] * parts
        self._running: list[int] = []
        self._since = 0

    def timed(self, part: int, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its own time counted as that of `part`."""
        running, spent = self._running, self._spent

        def run(*arguments: Any, **named: Any) -> Any:
            if running:
                spent[running[-1]] += time.perf_counter_ns() - self._since
            running.append(part)
            self._since = time.perf_counter_ns()
            try:
                return function(*arguments, **named)
            finally:
                spent[part] += time.perf_counter_ns() - self._since
                running.pop()
                self._since = time.perf_counter_ns()

        return run

    def take(self) -> list[int]:
        """Nanoseconds of each part since the last call."""
        taken = self._spent[:]
        self._spent[:] = [0] * len(taken)
        return taken


@contextmanager
def timed_parts() -> Iterator[Clock]:
    """All `PARTS` on the clock while the context lasts, in every processor of the program."""
    clock = Clock(len(PARTS))
    with ExitStack() as stack:
        for number, methods in enumerate(PARTS.values()):
            for owner, name in methods:
                method = clock.timed(number, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, method))
        yield clock


def share_out(player: Player, blocks: int, *, paced: bool) -> dict[str, float]:
    """Medians in microseconds, over so many blocks, of the `PARTS` of one; see `hops.play`."""
    with timed_parts() as clock:
        play(player.work, player.warm_up, player.period_s, paced=paced)
        clock.take()
        taken: list[Sequence[int]] = []
        play(
            player.work,
            blocks,
            player.period_s,
            paced=paced,
            after=lambda: taken.append(clock.take()),
        )
    medians = np.median(taken, axis=0) / 1000.0
    return dict(zip(PARTS, medians.tolist(), strict=True))
