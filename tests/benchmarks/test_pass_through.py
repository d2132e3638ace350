"""Soloist beside clients that copy: who plays when, how long the busy one is busy, what is told."""

import time

import numpy as np
import pytest

from soloist.benchmarks import pass_through
from soloist.benchmarks.copying import _Counts, _Work
from soloist.benchmarks.misses import Count
from soloist.streaming.live.meters import Meters
from soloist.streaming.live.plan import LivePlan
from soloist.streaming.live.report import Report, Wiring

MISSES = {"soloist": 3, "copying": 0, "copying, as busy": 2}


def report(p50: float) -> Report:
    wiring = Wiring("system", "system", 2, 2, 48_000, 48_000, "cpu")
    return Report("running", wiring, meters=Meters(128, 2.667, 9, 0, 0, 0, p50, 2.0))


def test_each_client_has_as_long_and_begins_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[str, float, float]] = []
    took = iter((0.9, 1.1, 1.0))

    def ours(plan: LivePlan, seconds: float) -> tuple[Count, Report]:
        played.append(("soloist", seconds, 0.0))
        return Count(1000, MISSES["soloist"], 1000, 2), report(next(took))

    def copies(plan: LivePlan, last: Report, seconds: float, busy_ms: float) -> Count:
        name = "copying, as busy" if busy_ms else "copying"
        played.append((name, seconds, busy_ms))
        return Count(1000, MISSES[name])

    monkeypatch.setattr(pass_through, "play_live", ours)
    monkeypatch.setattr(pass_through, "copy_live", copies)
    found = pass_through.compare(LivePlan("solo"), 25.0, 10.0)
    names = [name for name, _, _ in played]
    assert names[:3] == ["soloist", "copying", "copying, as busy"]
    assert {names[0], names[3], names[6]} == set(MISSES)  # each begins once
    assert [seconds for _, seconds, _ in played] == [10.0] * 6 + [5.0] * 3
    assert {busy for name, _, busy in played if name == "copying, as busy"} == {0.9}
    assert found["clients"] == {n: {"blocks": 3000, "misses": 3 * m} for n, m in MISSES.items()}
    # of 9 misses all ours, and of 15 at least 9: fair coins
    assert found["by_chance"]["copying"] == pytest.approx(0.5**9)
    assert found["by_chance"]["copying, as busy"] == pytest.approx(0.304, abs=1e-3)
    told = pass_through.table(found | {"added_frames": 127.99})
    assert "soloist less copying, as busy: +1000 of a million" in told
    assert "127.99 frames, 2.666 ms" in told
    assert "older than those of the block before in 6 of 3000 hops" in told


class Machine:
    """A clock that goes on only with work, by `step_ns` for each step of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step_ns: int) -> None:
        self.now, self.step_ns = 1, step_ns
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now)
        monkeypatch.setattr(np, "einsum", self._work)

    def _work(self, *_: object, **__: object) -> None:
        self.now += self.step_ns

    def play(self, work: _Work, seconds: float, lasts_s: float) -> float:
        """Blocks for so long; milliseconds that the last one took."""
        for number in range(round(seconds / lasts_s)):
            began = self.now = max(self.now, round(1e9 * number * lasts_s))
            work(began)
        return (self.now - began) / 1e6


@pytest.mark.parametrize(("busy_ms", "step_ns"), [(1.0, 10_000), (1.0, 1000), (0.3, 50_000)])
def test_a_busy_client_finds_the_work_that_takes_as_long_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, busy_ms: float, step_ns: int
) -> None:
    machine = Machine(monkeypatch, step_ns)
    took = machine.play(_Work(busy_ms), 1.0, 0.00267)
    assert took == pytest.approx(busy_ms, abs=2 * step_ns / 1e6)


def test_work_stays_as_much_as_it_was_found_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that becomes slower makes it take longer, not less of it."""
    machine, work = Machine(monkeypatch, 10_000), _Work(1.0)
    machine.play(work, 1.0, 0.00267)
    machine.step_ns = 20_000
    assert machine.play(work, 1.0, 0.00267) == pytest.approx(2.0, abs=0.03)


def test_what_takes_longer_than_a_block_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 3_000_000)
    counts = _Counts(48_000, 1.0)
    counts.book(128, machine.now, False)  # a block of 2.7 ms
    counts.book(128, machine.now, True)
    assert (counts.blocks, counts.late, counts.lost) == (2, 2, 1)


def test_who_is_not_told_to_be_busy_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, counts = Machine(monkeypatch, 1), _Counts(48_000, 0.0)
    counts.book(128, machine.now, False)
    assert (machine.now, counts.late) == (1, 0)
