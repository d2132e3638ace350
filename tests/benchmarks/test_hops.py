"""Blocks at their pace: when each was due, and that stalls are misses, all of them and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from soloist.benchmarks import hops, measuring
from soloist.benchmarks.hops import Player, play
from soloist.benchmarks.measuring import measure
from soloist.benchmarks.settings import Setting
from soloist.benchmarks.statistics import Statistics

Toys = Callable[..., Any]
PERIOD_S = 128 / 48_000
STALLS_US = {40: 2_700, 41: 9_000, 300: 100_000, 777: 2_667}  # of blocks that last 2666.7 µs


class Clock:
    """Time that passes only where it is told to: a machine without any other work."""

    def __init__(self, wakes_late_us: Callable[[], int] = lambda: 0) -> None:
        self.now = 10**12
        self._wakes_late_us = wakes_late_us

    def perf_counter_ns(self) -> int:
        return self.now

    def perf_counter(self) -> float:
        return self.now / 1e9

    process_time = perf_counter

    def sleep(self, seconds: float) -> None:
        self.now += round(1e9 * seconds) + 1000 * self._wakes_late_us()

    def work(self, us: float) -> None:
        self.now += round(1000 * us)


def test_stalls_are_misses_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a stall is, and whether one follows the other, it is one miss."""
    clock = Clock(lambda: 30)
    monkeypatch.setattr(hops, "time", clock)
    taken = play(lambda number: clock.work(STALLS_US.get(number, 150)), 1000, PERIOD_S, paced=True)
    found = Statistics.of((taken[:, 2] - taken[:, 1]) / 1000.0, PERIOD_S * 1e6)
    late = np.flatnonzero(taken[:, 2] - taken[:, 1] > PERIOD_S * 1e9)
    assert late.tolist() == [*STALLS_US]
    assert found.misses == len(STALLS_US)
    # All wake-ups were 30 µs late, those after a stall too, for blocks that were lost are left out.
    assert set(taken[:, 1] - taken[:, 0]) == {30_000}
    # 100 ms are 38 blocks, of which 37 were lost, 9 ms are 4, the others reach into the next one.
    assert len(taken) == 1000 - (37 + 3 + 1 + 1)


def test_paced_blocks_are_due_on_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(hops, "time", clock)
    start = clock.now
    taken = play(lambda number: clock.work(5_000 if number == 3 else 100), 20, 1e-3, paced=True)
    due = (taken[:, 0] - start) / 1e6
    # The fourth takes 5 ms: four are lost, and the fifth that is played is due after it has ended.
    assert due.tolist() == [1, 2, 3, 4, *range(9, 21)]
    back_to_back = play(lambda number: clock.work(100), 5, 1e-3, paced=False)
    assert np.diff(back_to_back[:, 0]).tolist() == [100_000] * 4


def test_a_session_with_stalls_shows_them_as_misses(
    toy_bundle: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through all of it: a session that stalls in three steps, measured beside empty hops.

    Its time is that of a clock which the steps and the sleeps move; nothing else takes any.
    """
    clock = Clock(lambda: 50)
    monkeypatch.setattr(hops, "time", clock)
    player = Player(toy_bundle().bundle, Setting())
    step, steps = player.timed[0]._step, iter(range(10**6))
    # Two turns of 19 blocks of warm-up and 188 that count; 15 of the first are lost to the stalls.
    stalls = {0: 50_000.0, 24: 3_000.0, 119: 40_000.0, 250: 5_000.0}
    counted, live = len(stalls) - 1, False

    def stalling() -> None:
        step()
        clock.work(stalls.get(next(steps), 200.0) if live else 200.0)

    def go_live() -> None:
        nonlocal steps, live
        steps, live = iter(range(10**6)), True

    player.timed[0]._step = stalling
    monkeypatch.setattr(player, "go_live", go_live)
    monkeypatch.setattr(measuring, "_first_of_each", lambda players: [])
    found = measure([player], 1.0)
    (measured,) = found.measurements
    assert measured.paced is not None and measured.response is not None
    assert measured.paced.misses == measured.response.misses == counted
    longest = sorted((us for us, _ in measured.paced.tail), reverse=True)[:4]
    assert longest == [40_000.0, 5_000.0, 3_000.0, 200.0]
    assert measured.response.max_us == 40_050.0
    assert measured.paced.n == 2 * 188 - (15 + 1 + 1)
    assert measured.back_to_back.misses == 0
    # The machine, told apart: every empty hop woke up 50 µs late, and none too late.
    assert found.wakeups.max_us == found.wakeups.percentiles_us["p50"] == 50.0
    assert found.wakeups.misses == 0


def test_real_stalls_are_among_the_misses() -> None:
    """By the real clock, on a machine that may add misses of its own."""
    stalls = {5, 17, 18}
    taken = play(
        lambda number: time.sleep(0.03 if number in stalls else 0.0), 90, PERIOD_S, paced=True
    )
    late = np.flatnonzero(taken[:, 2] - taken[:, 1] > PERIOD_S * 1e9)
    assert stalls <= set(late.tolist())
    assert (np.diff(taken[:, 0]) % round(PERIOD_S * 1e9) == 0).all()
    assert (taken[:, 1] >= taken[:, 0]).all()


def test_streams_are_played_in_turn_and_channels_in_one_batch(toy_bundle: Toys) -> None:
    bundle = toy_bundle().bundle
    player = Player(bundle, Setting(streams=3, channels=2, queries=2, block=64))
    turn = player.play(10, paced=False)
    # Two blocks of 64 for each hop of 128, and 38 of warm-up.
    assert [processor.counters.hops for processor in player.processors] == [24] * 3
    assert [session.spectrum.shape[0] for session in player.timed] == [2] * 3
    assert player.processors[0].queries == 2
    assert len(turn.durations_us) == 10
    assert (turn.network_ns[1::2] > 0).all() and not turn.network_ns[::2].any()
    assert (turn.durations_us * 1000 >= turn.network_ns).all()
    player.playing = 1
    player.play(10, paced=False)
    assert [processor.counters.hops for processor in player.processors] == [48, 24, 24]


def test_blocks_are_timed_without_a_listener(toy_bundle: Toys) -> None:
    player = Player(toy_bundle(listens=True).bundle, Setting())
    assert [each._sessions.listening for each in player.processors] == [None]
