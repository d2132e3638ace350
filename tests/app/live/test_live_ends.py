"""How `soloist live` leaves when something goes wrong, on a process that plays nothing."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soloist.app.live import command as module
from soloist.app.live.view import Lines
from soloist.runtime.errors import DeviceError, DeviceLost, ProcessFault
from soloist.streaming.counters import Counters
from soloist.streaming.latency import Latency
from soloist.streaming.live.budget import LatencyBudget
from soloist.streaming.live.levels import LevelMeter
from soloist.streaming.live.meters import MeterBoard
from soloist.streaming.live.recorder import Recorded
from soloist.streaming.live.report import Report, Wiring

Run = Callable[..., Any]
Install = Callable[..., list[str]]

RUNNING = Report(
    "running",
    Wiring("mic", "desk", 1, 1, 48000, 48000, "cpu"),
    LatencyBudget(Latency(48000, (("overlap", 128),)), 128),
    MeterBoard(48000).read(),
    Counters(),
    LevelMeter(48000, 1, 1).read(),
)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(starts, checks, restarts)`: what each call raises, or nothing where it is None.

    The last `check` is followed by the end of the time. What happens is listed.
    """
    happened: list[str] = []

    def build(
        starts: BaseException | None = None,
        checks: Sequence[BaseException | None] = (),
        restarts: Sequence[BaseException | None] = (),
        last: Report = RUNNING,
    ) -> list[str]:
        checks_left, restarts_left = list(checks), list(restarts)

        class Process:
            def __enter__(self) -> Process:
                return self

            def __exit__(self, *_: object) -> None:
                happened.append("stopped")

            def start(self, plan: object) -> Report:
                return self._give(starts)

            def begin_again(self, plan: object) -> None:
                happened.append("restarted")

            def opened(self) -> Report:
                return self._give(restarts_left.pop(0))

            def set(self, state: object) -> None:
                """Nothing plays."""

            def set_conditioning(self, conditioning: object) -> None:
                """Nothing plays."""

            def check(self) -> Report:
                return self._give(checks_left.pop(0))

            def report(self) -> Report:
                return last

            def stop(self) -> Report:
                return last

            def _give(self, outcome: BaseException | None) -> Report:
                if outcome is not None:
                    raise outcome
                return last

        monkeypatch.setattr(module, "LiveProcess", Process)
        return happened

    return build


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DeviceError("the desk is busy"), 2, "soloist: the desk is busy\n"),
        (DeviceLost("the cable came out"), 3, "soloist: the cable came out\n"),
        (ProcessFault("a fault of ours, so"), 1, "soloist: a fault of ours, so\n"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("cheese"), 1, "soloist: a fault of ours, RuntimeError: cheese;"),
    ],
)
def test_a_start_that_fails(
    soloist: Run, toy: str, install: Install, error: BaseException, code: int, said: str
) -> None:
    happened = install(error)
    result = soloist("live", "-m", toy)
    assert result.code == code
    assert result.err.startswith(said) and result.err.count("\n") == bool(said)
    assert happened == ["stopped"]


def test_a_loss_without_patience(soloist: Run, toy: str, install: Install) -> None:
    happened = install(checks=[None, DeviceLost("gone")])
    result = soloist("live", "-m", toy, "--reconnect", "0")
    assert result.code == 3
    assert result.err.endswith("\nsoloist: gone\n")
    assert happened == ["stopped"]


def test_nobody_is_kept_waiting(soloist: Run, toy: str, install: Install) -> None:
    install(checks=[DeviceLost("gone")], restarts=[DeviceError("not yet")] * 99)
    threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
    assert soloist("live", "-m", toy).code == 130


def test_a_loss_is_waited_for(soloist: Run, toy: str, install: Install) -> None:
    """Not there, not there, back, and a fault of another kind in the end."""
    happened = install(
        checks=[None, DeviceLost("gone"), None, ProcessFault("a fault of ours, so")],
        restarts=[DeviceError("no such device"), DeviceLost("not yet"), None],
    )
    result = soloist("live", "-m", toy)
    assert result.code == 1
    assert "soloist: gone\naudio is back, latency 5.33 ms (256 samples at 48000 Hz)\n" in result.err
    assert "no such device" not in result.err
    assert happened == [*["restarted"] * 3, "stopped"]


def test_keys_are_read_while_devices_are_away(
    soloist: Run, toy: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits for the process that opens them but the view, which q ends."""
    install(checks=[DeviceLost("gone")])
    asked: list[float] = []

    def wait(view: Lines, seconds: float) -> None:
        asked.append(seconds)
        view.ended = len(asked) == 20

    double: Any = vars(module)["LiveProcess"]
    double.opened = lambda process: None  # not yet
    monkeypatch.setattr(Lines, "wait", wait)
    result = soloist("live", "-m", toy)
    assert result.code == 0
    assert len(asked) == 20 and max(asked) < 0.1


def test_the_duration_begins_with_the_sound(
    soloist: Run, toy: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(checks=[None] * 99)
    double: Any = vars(module)["LiveProcess"]
    start = double.start

    def slowly(process: Any, plan: Any) -> Report:
        time.sleep(0.5)
        report: Report = start(process, plan)
        return report

    double.start = slowly
    shown: list[Report] = []
    monkeypatch.setattr(Lines, "show", lambda view, report: shown.append(report))
    assert soloist("live", "-m", toy, "--duration", "0.2").code == 0
    assert shown


def test_a_fault_in_a_callback_is_said(soloist: Run, toy: str, install: Install) -> None:
    install(checks=[None] * 99, last=replace(RUNNING, fault="E: no"))
    result = soloist("live", "-m", toy, "--duration", "0.05")
    assert result.code == 1
    assert "blocks were silenced by a fault of ours: E: no" in result.err


def test_a_recording_that_ended_early_is_said_once(
    soloist: Run, toy: str, install: Install, tmp_path: Path
) -> None:
    full = Recorded("takes/now", 96_000, 480, "No space left on device")
    install(checks=[None] * 99, last=replace(RUNNING, recording=full))
    result = soloist("live", "-m", toy, "--duration", "0.4", "--record", tmp_path)
    assert result.code == 0
    said = "soloist: the recording ended, audio goes on: No space left on device\n"
    assert result.err.count(said) == 1
    assert "  recorded 2.0 s into takes/now\n  480 samples of it are silence" in result.err
    assert "  the recording ended early: No space left on device\n" in result.err


def test_a_full_disk_is_no_reason_to_stay_silent(
    soloist: Run, toy: str, install: Install, tmp_path: Path
) -> None:
    """Devices that come back after the recording ended play without it."""
    full = replace(RUNNING, recording=Recorded("takes/now", 0, 0, "No space left on device"))
    install(checks=[DeviceLost("gone"), None], restarts=[None], last=full)
    plans: list[Any] = []
    double: Any = vars(module)["LiveProcess"]  # what `install` put there
    begin_again = double.begin_again

    def note(process: Any, plan: Any) -> None:
        plans.append(plan)
        begin_again(process, plan)

    double.begin_again = note
    soloist("live", "-m", toy, "--duration", "0.3", "--record", tmp_path)
    assert [plan.recording for plan in plans] == [None]


def test_a_windowed_model_has_no_trailing_masks(
    soloist: Run, windowed_toy: Callable[..., Any]
) -> None:
    """Said by the process that plays, before it looks for devices."""
    refusal = soloist("live", "-m", windowed_toy().path, "--schedule", "trailing").refusal
    assert "runs beside the audio thread anyway" in refusal


def test_a_place_for_recordings_is_looked_at_first(
    soloist: Run, toy: str, install: Install, tmp_path: Path
) -> None:
    happened = install()
    (tmp_path / "file").write_text("")
    refusal = soloist("live", "-m", toy, "--record", tmp_path / "file").refusal
    assert "cannot make the folder" in refusal
    assert not happened
