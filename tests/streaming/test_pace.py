"""How a schedule yields to the time that a network takes."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from soloist.runtime.errors import TooSlowError
from soloist.runtime.frames import Frames
from soloist.runtime.schedule import Schedule
from soloist.streaming import pace
from soloist.streaming.pace import measure, paced

# A hop lasts 16 ms; windows may be 20 frames apart, 320 ms.
SCHEDULE = Schedule(
    frames=Frames(1024, 256, "hann", "hann-istft", "zeros"),
    window_samples=65_535,
    emitted=24,
    baked=3,
    crossfade=2,
    advance=8,
    lookahead=5,
    compute=8,
)


@pytest.mark.parametrize(
    ("seconds", "budget", "advance", "compute"),
    [
        (0.0, "advance", 8, 8),
        (0.128, "advance", 8, 8),
        (0.129, "advance", 9, 9),
        (0.320, "advance", 20, 20),
        (0.0, "measured", 8, 1),
        (0.033, "measured", 8, 3),
        (0.200, "measured", 13, 13),
    ],
)
def test_the_advance_is_as_long_as_a_window_takes(
    seconds: float, budget: Any, advance: int, compute: int
) -> None:
    found = paced(SCHEDULE, seconds, 16_000, budget)
    assert (found.advance, found.compute) == (advance, compute)
    assert (found.lookahead, found.crossfade, found.emitted) == (5, 2, 24)


def test_a_network_slower_than_any_advance_is_refused_with_the_figures() -> None:
    with pytest.raises(TooSlowError, match=r"takes 412 ms .* 320 ms apart at most \(20 frames"):
        paced(SCHEDULE, 0.412, 16_000, "advance")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Any]:
    """`clock(seconds)` makes a window that takes so long by a clock of its own."""
    now = [0.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def window_of(*seconds: float) -> Any:
        taken = list(seconds)

        def window() -> None:
            now[0] += taken.pop(0) if len(taken) > 1 else taken[0]
            runs.append(now[0])

        runs: list[float] = []
        return window, runs

    return window_of


def test_the_slowest_of_a_few_runs_counts_the_first_does_not(clock: Any) -> None:
    window, runs = clock(9.0, 0.1, 0.3, 0.1)
    assert measure(window) == pytest.approx(1.25 * 0.3)
    assert len(runs) == 6


def test_two_runs_of_a_slow_network_are_enough(clock: Any) -> None:
    window, runs = clock(2.0)
    assert measure(window) == pytest.approx(1.25 * 2.0)
    assert len(runs) == 3
