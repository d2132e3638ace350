"""A session of live play, from its first sound to its end: watched, and resumed after losses."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

from ...runtime.errors import DeviceError, DeviceLost
from ...streaming.live.plan import LivePlan
from ...streaming.live.process import LiveProcess
from ...streaming.live.report import Report
from .asking import Asking
from .desk import Desk
from .patching import Patch
from .view import View

# How often the devices are looked at, keys are read and the meters redrawn.
_TICK_S = 0.08
# Between attempts to have virtual ends back.
_PAUSE_S = 0.25


@dataclass
class Session:
    """What belongs to it. `caught` are signals that asked for its end, as they come; `faults` what
    went wrong, which is added to."""

    process: LiveProcess
    plan: LivePlan
    desk: Desk
    asking: Asking
    view: View
    patch: Patch
    caught: Sequence[int]
    faults: list[str]

    def play(self, duration: float | None, reconnect: float) -> DeviceLost | None:
        """Watch what plays, for `duration` seconds or until a signal or the view asks for its end.

        Devices that are lost are waited for, each time for `reconnect` seconds; the loss that was
        the end is returned.
        """
        end = math.inf if duration is None else time.monotonic() + duration
        while True:
            try:
                self._watch(end)
                return None
            except DeviceLost as error:
                self.faults.append(str(error))
                self.view.tell("device-lost", str(error))
                if not self._recover(min(time.monotonic() + reconnect, end)):
                    return error

    def finish(self, lost: DeviceLost | None) -> int:
        """Tell the end, by a loss or as asked; the exit code."""
        report = self.process.stop()
        asked = 128 + self.caught[0] if self.caught else 0
        if lost is not None:
            code = asked if self.caught or self.view.ended else lost.exit_code
            self.view.finish(None, code)
            return code
        if report.recording is not None and report.recording.error:
            self.faults.append(f"the recording ended early: {report.recording.error}")
        code = 1 if report.fault else asked
        self.view.finish(report, code)
        return code

    def _goes_on(self, end: float) -> bool:
        return not (self.caught or self.view.ended) and time.monotonic() < end

    def _watch(self, end: float) -> None:
        """Show the figures until the end; raises `DeviceLost`."""
        first = self.process.report()
        latency, meters, failing = first.latency, first.meters, False
        while self._goes_on(end):
            self.view.wait(_TICK_S)
            report = self.process.check()
            if report.latency != latency:
                blocks = meters and report.meters and report.meters.block != meters.block
                why = "the driver changed its block size: " if blocks else ""
                latency, meters = report.latency, report.meters
                self.view.tell("latency-changed", f"{why}latency is now {latency}", report)
            if report.recording is not None and report.recording.error and not failing:
                failing = True
                text = f"the recording ended, audio goes on: {report.recording.error}"
                self.view.tell("recording-ended", text)
            self.view.show(report)

    def _recover(self, end: float) -> bool:
        """Whether the devices came back by then; they play as the desk is left. Keys go on."""
        self.plan = self._resumed()
        opening = False
        with _Ends(self.patch) as ends:
            while self._goes_on(end):
                try:
                    # What leads to ends that are not there plays somewhere else.
                    if not opening and ends.are_there():
                        opening = True
                        self.process.begin_again(self._as_left())
                    report = self.process.opened() if opening else None
                except DeviceError:  # not there, or gone again
                    opening, report = False, None
                if report is not None:
                    self._tell_back(report)
                    return True
                self.view.wait(_TICK_S)
        return False

    def _as_left(self) -> LivePlan:
        """The plan with what keys changed since."""
        recording = self.plan.recording
        if recording is not None:
            recording = replace(recording, names=self.asking.file_names)
        return replace(
            self.plan,
            state=self.desk.state,
            conditioning=self.asking.conditioning,
            recording=recording,
        )

    def _resumed(self) -> LivePlan:
        last = self.process.report()
        plan = self.plan.resumed(last)
        if last.recording is not None and last.recording.error:
            return replace(plan, recording=None)  # a full disk is no reason to stay silent
        return plan

    def _tell_back(self, report: Report) -> None:
        assert report.latency is not None
        text = f"audio is back, latency {report.latency.whole}"
        if report.recording is not None:
            text += f", recording into {report.recording.folder}"
        self.view.tell("audio-back", text, report)


class _Ends:
    """The virtual ends of a patch, made again beside all else: a sound server that hangs takes
    seconds to be asked."""

    def __init__(self, patch: Patch) -> None:
        self._patch = patch
        self._pool = ThreadPoolExecutor(1)
        self._attempt: Future[bool] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def are_there(self) -> bool:
        """Whether they are. If not, another attempt is made meanwhile."""
        if not self._patch.ends:
            return True
        if self._attempt is None:
            self._attempt = self._pool.submit(self._make)
        if not self._attempt.done():
            return False
        attempt, self._attempt = self._attempt, None
        return attempt.result()

    def _make(self) -> bool:
        try:
            self._patch.restore()
        except DeviceError:  # no server yet
            time.sleep(_PAUSE_S)
            return False
        return True
