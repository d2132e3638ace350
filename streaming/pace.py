"""Whether a network keeps up with live audio, and how often it may run then."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ..runtime.errors import TooSlowError
from ..runtime.schedule import Schedule

Budget = Literal["advance", "measured"]

# One run to warm up, then so many; two are enough where they take longer than the limit.
_RUNS = 5
_RUNS_LIMIT_S = 3.0
# Measured without the audio beside it, and on a good day.
_MARGIN = 1.25


def measure(window: Callable[[], object]) -> float:
    """Seconds that making a window takes at worst, with a margin; makes a few."""
    window()
    slowest, began = 0.0, time.perf_counter()
    for run in range(_RUNS):
        started = time.perf_counter()
        if run >= 2 and started - began > _RUNS_LIMIT_S:
            break
        window()
        slowest = max(slowest, time.perf_counter() - started)
    return _MARGIN * slowest


def paced(schedule: Schedule, seconds: float, sample_rate: int, budget: Budget) -> Schedule:
    """The schedule that a network keeps which takes so many seconds for a window.

    Where they are more than the advance, it becomes as long as they are. The compute budget is one
    advance, or for "measured" just as many hops as the seconds are.

    Raises `TooSlowError` where the advance cannot be as long.
    """
    hop_s = schedule.frames.hop / sample_rate
    needed = max(1, math.ceil(seconds / hop_s))
    longest = schedule.longest_advance
    if needed > longest:
        raise TooSlowError(
            f"the network takes {1000 * seconds:.3g} ms for a window, and windows can be "
            f"{1000 * longest * hop_s:.3g} ms apart at most ({longest} frames, with a look-ahead "
            f"of {schedule.lookahead}): ask for less look-ahead, use a faster device or more "
            "threads, or export a bundle that emits more frames"
        )
    advance = max(schedule.advance, needed)
    return replace(schedule, advance=advance, compute=needed if budget == "measured" else advance)
