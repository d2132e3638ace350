"""How `soloist live` leaves when something goes wrong, on a process that plays nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from soloist.app import live as module
from soloist.runtime.errors import DeviceError, DeviceLost, ProcessFault
from soloist.streaming.budget import LatencyBudget
from soloist.streaming.counters import Counters
from soloist.streaming.latency import Latency
from soloist.streaming.meters import MeterBoard
from soloist.streaming.report import Report, Wiring

Run = Callable[..., Any]
Install = Callable[..., list[str]]

RUNNING = Report(
    "running",
    Wiring("mic", "desk", 1, 1, 48000, 48000, "cpu"),
    LatencyBudget(Latency(48000, (("overlap", 128),)), 128),
    MeterBoard(48000).read(),
    Counters(),
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

            def restart(self, plan: object) -> Report:
                happened.append("restarted")
                return self._give(restarts_left.pop(0))

            def check(self) -> Report:
                return self._give(checks_left.pop(0))

            def report(self) -> Report:
                return last

            def stop(self) -> Report:
                return last

            def _give(self, outcome: BaseException | None) -> Report:
                if outcome is not None:
                    raise outcome
                return RUNNING

        monkeypatch.setattr(module, "LiveProcess", Process)
        monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
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


def test_a_fault_in_a_callback_is_said(soloist: Run, toy: str, install: Install) -> None:
    install(checks=[None] * 99, last=replace(RUNNING, fault="E: no"))
    result = soloist("live", "-m", toy, "--duration", "0.05")
    assert result.code == 1
    assert "blocks were silenced by a fault of ours: E: no" in result.err
