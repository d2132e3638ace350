"""Soloist beside clients that copy: who plays when, how long the busy one is busy, what is told."""

import time
from typing import Any

import pytest

from soloist.benchmarks import pass_through
from soloist.benchmarks.copying import _Counts
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
        return Count(1000, MISSES["soloist"]), report(next(took))

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


def test_a_busy_client_is_busy_for_as_long_as_it_is_told() -> None:
    counts: Any = _Counts(48_000, 5.0)
    began = time.perf_counter_ns()
    counts.book(128, began, False)  # a block of 2.7 ms
    assert time.perf_counter_ns() - began >= 5_000_000
    assert (counts.blocks, counts.late, counts.lost) == (1, 1, 0)
