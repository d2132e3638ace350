"""A live stream in a process of its own, so that nothing else here can make audio late.

One busy Python loop beside the callback makes half of all blocks late, whatever it computes, since
both want the interpreter; in another process it makes none late. And where a sound server dies so
that neither the stream nor the process that holds it can be closed, this one can still leave.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import DeviceLost
from .child import Order
from .plan import LivePlan
from .report import Page, Report

# How long a stream may do nothing at its start but wait for its devices; how much is something.
_START_LIMIT_S = 20.0
_SOMETHING_S = 0.1
# How long it may take to give a sign of life, to close.
_SILENT_LIMIT_S = 2.0
_STOP_LIMIT_S = 4.0
_POLL_S = 0.005


class LiveProcess:
    """Starts the process at once, which then waits for its plan: loading takes half a second.

    `start` once, then `check` a few times a second; `stop` belongs to the end, whatever happened.
    Where devices were lost, `begin_again`, and then `opened` a few times a second until it plays.
    Every method belongs to one thread; none waits longer than its limit.
    """

    def __init__(self) -> None:
        self._page = Page.create()
        self._process = self._spawn()
        self._last: Report | None = None
        self._number, self._seen = -1, 0.0
        self._looked, self._computed_s = 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, plan: LivePlan) -> Report:
        """Open the devices and play. Raises the `SoloistError` that kept it from doing so.

        A large model on a busy machine takes its time; what hangs computes nothing.
        """
        self._begin(plan)
        while (report := self.opened()) is None:
            time.sleep(_POLL_S)
        return report

    def begin_again(self, plan: LivePlan) -> None:
        """Have another process open the plan's devices; the one before is given no time."""
        self._process.kill()
        end(self._process)
        self._page.write(Report("starting"))
        self._process = self._spawn()
        self._begin(plan)

    def opened(self) -> Report | None:
        """The first figures once it plays, None before that. Raises as `start` does."""
        report = self.report()
        if report.stage != "starting":
            self._seen = time.monotonic()
            return self._checked(report)
        if self._process.poll() is not None:
            raise DeviceLost(f"the audio process ended at its start ({self._exit()})")
        if report.looked != self._looked or report.computed_s > self._computed_s + _SOMETHING_S:
            self._seen = time.monotonic()
            self._looked, self._computed_s = report.looked, report.computed_s
        if time.monotonic() - self._seen > _START_LIMIT_S:
            raise DeviceLost(f"the audio devices did not open within {_START_LIMIT_S:g} s")
        return None

    def report(self) -> Report:
        """The latest figures; after `stop` the last ones."""
        return self._last or self._page.read()

    def check(self) -> Report:
        """The latest figures. Raises `DeviceLost` for devices or a process that went away."""
        report = self._checked(self.report())
        if self._process.poll() is not None:
            raise DeviceLost(f"the audio process ended ({self._exit()}); start it again")
        if (silent_s := self._silent_s()) > _SILENT_LIMIT_S:
            raise DeviceLost(
                f"the audio process has said nothing for {silent_s:.1f} s; is the sound server "
                "running?"
            )
        return report

    def set(self, state: Mapping[str, float]) -> None:
        """Change parameters by their ids, within 20 ms."""
        self._send(Order(state=dict(state)))

    def set_conditioning(self, conditioning: NDArray[np.float32]) -> None:
        """Ask for other words, as many as before."""
        self._send(Order(conditioning=conditioning))

    def stop(self) -> Report:
        """End the stream and its process, by force if need be; the last figures."""
        if self._last is None:
            end(self._process)
            self._last = self._page.read()
            self._page.remove()
        return self._last

    def _begin(self, plan: LivePlan) -> None:
        self._send(plan)
        self._seen, self._looked, self._computed_s = time.monotonic(), 0, 0.0

    def _silent_s(self) -> float:
        """Seconds since the process last wrote to the page."""
        number, now = self._page.number, time.monotonic()
        if number != self._number:
            self._number, self._seen = number, now
        return now - self._seen

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "soloist.streaming.live.child", str(self._page.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # sound servers' libraries print what they like
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the child
        )

    def _checked(self, report: Report) -> Report:
        if report.error is not None:
            raise report.error
        return report

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # a process that went away is noticed by `check`
            assert self._process.stdin is not None
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _exit(self) -> str:
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that ends with its input, by force where that takes more than 4 s."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
