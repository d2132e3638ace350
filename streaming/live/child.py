"""The process that plays: `python -m soloist.streaming.live.child PAGE`, started by `LiveProcess`.

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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import DeviceError, ProcessFault, SoloistError
from ..processor import Processor
from ..rights import go_early, lock_memory
from .awake import Awake
from .plan import LivePlan
from .recorder import Recorder
from .report import Page, Report
from .stream import LiveStream

# How often orders are carried out and the report is written. Peaks last at least as long.
_TICK_S = 0.02
_REPORT_TICKS = 3
_TELL_S = 0.5
# Between one look for devices that are waited for and the next.
_LOOK_S = 0.1


@dataclass(frozen=True)
class Order:
    """What may be changed while playing: parameters by id, other words."""

    state: Mapping[str, float] = field(default_factory=dict)
    conditioning: NDArray[np.float32] | None = None

    def carry_out(self, processor: Processor) -> None:
        """Raises `ValueError` for what the processor does not take."""
        processor.restore(self.state)
        if self.conditioning is not None:
            processor.set_conditioning(self.conditioning)


Orders = queue.SimpleQueue[Order | None]


def main(path: str) -> None:
    """Play until the input ends or the devices are lost."""
    go_early()
    page = Page(Path(path))
    plan: LivePlan = pickle.load(sys.stdin.buffer)
    orders: Orders = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: orders.put(None))
    session: _Session | None = None
    error: SoloistError | None = None
    try:
        session = _open(plan, orders, page)
        if session is not None:
            with telling(page):
                session.start()
            _play(session, orders, page)
    except SoloistError as problem:
        error = problem
    except Exception as problem:  # it must be told, as nobody sees this process
        error = ProcessFault(f"a fault of ours, {type(problem).__name__}: {problem}")
    if session is None:
        page.write(Report("ended" if error is None else "failed", error=error))
        return
    if session.recorder is not None:  # before the last report, after which there may be no time
        session.recorder.close()
    last = session.report() if error is None else session.complete(page.read())
    page.write(replace(last, stage="ended" if error is None else "failed", error=error))
    if not session.stop():
        os._exit(1)  # PortAudio hangs, and in Python's own exit it would again


@dataclass
class _Session:
    """A stream and what belongs to it here."""

    stream: LiveStream
    recorder: Recorder | None
    awake: Awake | None
    memory_locked: bool = False
    kept_awake: bool = False

    @classmethod
    def open(cls, plan: LivePlan, processor: Processor) -> _Session:
        stream = plan.stream(processor)
        if stream.on_jack:
            _leave_portaudio()
        return cls(stream, plan.recorder(stream), Awake() if plan.awake else None)

    def start(self) -> None:
        self.stream.start()
        if self.awake is not None:
            self.kept_awake = self.awake.begin()
        if self.recorder is not None:
            self.recorder.start()
        self.memory_locked = lock_memory()

    def report(self) -> Report:
        return self.complete(self.stream.report())

    def complete(self, report: Report) -> Report:
        """The report with what the stream does not know."""
        recording = self.recorder.state if self.recorder is not None else None
        return replace(
            report,
            recording=recording,
            memory_locked=self.memory_locked,
            kept_awake=self.kept_awake,
        )

    def stop(self) -> bool:
        """As `LiveStream.stop`."""
        if self.awake is not None:
            self.awake.end()
        return self.stream.stop()


@contextmanager
def telling(page: Page, looked: int = 0) -> Iterator[None]:
    """Tells on the page, while it is starting, how much it has computed."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(_TELL_S):
            page.write(_starting(looked))

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _starting(looked: int) -> Report:
    return Report("starting", computed_s=time.process_time(), looked=looked)


def _open(plan: LivePlan, orders: Orders, page: Page) -> _Session | None:
    """The plan's session, not started. None where it was waited for in vain."""
    with telling(page):
        processor = plan.processor()
    looked = 0
    while True:
        began = time.monotonic()
        try:
            with telling(page, looked):
                return _Session.open(plan, processor)
        except DeviceError:
            if not plan.patient:
                raise
        looked += 1
        page.write(_starting(looked))
        # As long as it took: PortAudio keeps a core busy while it looks.
        time.sleep(max(_LOOK_S, time.monotonic() - began))
        _look_again()
        if not _carry_out(orders, processor):
            return None


def _leave_portaudio() -> None:
    """End PortAudio where it was asked for devices: else a client of its stays in JACK's graph."""
    module = sys.modules.get("sounddevice")
    if module is not None:
        module._terminate()


def _look_again() -> None:
    """Let PortAudio, where it was asked, see the devices that there are now."""
    module = sys.modules.get("sounddevice")
    if module is not None:
        module._terminate()
        module._initialize()


def _listen(source: BinaryIO, orders: Orders) -> None:
    try:
        while True:
            orders.put(pickle.load(source))
    except (EOFError, OSError, pickle.UnpicklingError):  # a parent that died may leave half of one
        orders.put(None)


def _play(session: _Session, orders: Orders, page: Page) -> None:
    ticks = 0
    while _carry_out(orders, session.stream.processor):
        if ticks % _REPORT_TICKS == 0:
            session.stream.check()
            page.write(session.report())
        ticks += 1
        time.sleep(_TICK_S)


def _carry_out(orders: Orders, processor: Processor) -> bool:
    """Carry out what was ordered; whether to go on."""
    while not orders.empty():
        order = orders.get()
        if order is None:
            return False
        order.carry_out(processor)
    return True


if __name__ == "__main__":
    main(sys.argv[1])
