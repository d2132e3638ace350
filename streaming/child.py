"""The process that plays: `python -m soloist.streaming.child PAGE`, started by `LiveProcess`.

It reads pickled messages from its standard input, a `LivePlan` first and then `Order`s, and writes
`Report`s to the page. It ends when the input ends, so it never outlives its parent, or by SIGTERM,
which the system sends to every process when it goes down.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ProcessFault, SoloistError
from .live import LiveStream
from .plan import LivePlan
from .recorder import Recorder
from .report import Page, Report

# How often orders are carried out and the report is written. Peaks last at least as long.
_TICK_S = 0.02
_REPORT_TICKS = 3


@dataclass(frozen=True)
class Order:
    """What may be changed while playing: parameters by id, other words."""

    state: Mapping[str, float] = field(default_factory=dict)
    conditioning: NDArray[np.float32] | None = None

    def carry_out(self, stream: LiveStream) -> None:
        """Raises `ValueError` for what the processor does not take."""
        stream.processor.restore(self.state)
        if self.conditioning is not None:
            stream.processor.set_conditioning(self.conditioning)


Orders = queue.SimpleQueue[Order | None]


def main(path: str) -> None:
    """Play until the input ends or the devices are lost."""
    page = Page(Path(path))
    plan: LivePlan = pickle.load(sys.stdin.buffer)
    orders: Orders = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: orders.put(None))
    stream: LiveStream | None = None
    recorder: Recorder | None = None
    error: SoloistError | None = None
    try:
        stream = plan.open()
        recorder = plan.recorder(stream)
        stream.start()
        if recorder is not None:
            recorder.start()
        _play(stream, recorder, orders, page)
    except SoloistError as problem:
        error = problem
    except Exception as problem:  # it must be told, as nobody sees this process
        error = ProcessFault(f"a fault of ours, {type(problem).__name__}: {problem}")
    if recorder is not None:  # before the last report, after which there may be no time
        recorder.close()
    page.write(_last(page, stream, recorder, error))
    if stream is not None and not stream.stop():
        os._exit(1)  # PortAudio hangs, and in Python's own exit it would again


def _last(
    page: Page, stream: LiveStream | None, recorder: Recorder | None, error: SoloistError | None
) -> Report:
    if error is not None:
        recorded = recorder.state if recorder is not None else None
        return replace(page.read(), stage="failed", error=error, recording=recorded)
    assert stream is not None
    return replace(_report(stream, recorder), stage="ended")


def _report(stream: LiveStream, recorder: Recorder | None) -> Report:
    report = stream.report()
    return report if recorder is None else replace(report, recording=recorder.state)


def _listen(source: BinaryIO, orders: Orders) -> None:
    try:
        while True:
            orders.put(pickle.load(source))
    except (EOFError, OSError, pickle.UnpicklingError):  # a parent that died may leave half of one
        orders.put(None)


def _play(stream: LiveStream, recorder: Recorder | None, orders: Orders, page: Page) -> None:
    ticks = 0
    while True:
        while not orders.empty():
            order = orders.get()
            if order is None:
                return
            order.carry_out(stream)
        if ticks % _REPORT_TICKS == 0:
            stream.check()
            page.write(_report(stream, recorder))
        ticks += 1
        time.sleep(_TICK_S)


if __name__ == "__main__":
    main(sys.argv[1])
