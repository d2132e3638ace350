"""Turns of live play, and of the client that only copies, between the same devices.

Without a sound device, blocks come at their pace to the engine alone, which is all but the driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..streaming.live.plan import LivePlan
from ..streaming.live.process import LiveProcess
from ..streaming.live.report import Report
from ..streaming.processor import Processor
from .copying import Copying
from .hops import play
from .measuring import quiet
from .misses import Count

# After a start the first blocks of a client are late, whatever it does.
SETTLE_S = 1.0
_TICK_S = 0.1


def play_live(plan: LivePlan, seconds: float) -> tuple[Count, Report]:
    """Blocks of `soloist live`, in the process that it has, and its last report.

    Raises `SoloistError` where it cannot be played.
    """
    with LiveProcess() as process:
        process.start(plan)
        first = _watch(process, SETTLE_S)
        last = _watch(process, seconds)
    trailing = plan.schedule == "trailing"
    return _counted(last, trailing) - _counted(first, trailing), last


def copy_live(plan: LivePlan, report: Report, seconds: float, busy_ms: float = 0.0) -> Count:
    """Blocks of the copying client, between the ends of the plan that gave this report.

    `busy_ms` as in `Copying`.
    """
    with Copying(report, plan.block_size, plan.latency, busy_ms) as client:
        client.count()
        time.sleep(SETTLE_S)
        before = client.count()
        time.sleep(seconds)
        after = client.count()
    return after - before


def _watch(process: LiveProcess, seconds: float) -> Report:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_TICK_S)
        report = process.check()
    return report


def _counted(report: Report, trailing: bool) -> Count:
    meters, counters = report.meters, report.counters
    assert meters is not None and counters is not None
    misses = max(meters.overloads, meters.xruns)
    if trailing:
        return Count(meters.callbacks, misses, counters.hops, counters.late)
    # One block is often all three: it takes too long, is lost, and its last hops have no time.
    return Count(meters.callbacks, max(misses, counters.late))


def play_paced(processor: Processor, block: int, rate: int, seconds: float) -> Count:
    """Blocks of a prepared processor, each when it is due; `rate` in Hertz."""
    channels = 1
    audio = 0.1 * np.random.default_rng(0).standard_normal((64, block, channels)).astype(np.float32)
    out = np.zeros((block, channels), np.float32)
    return _paced(lambda number: processor.process(audio[number % 64], out), block, rate, seconds)


def copy_paced(block: int, rate: int, seconds: float) -> Count:
    """Blocks that are only copied, each when it is due."""
    audio, out = np.zeros((block, 1), np.float32), np.zeros((block, 1), np.float32)
    return _paced(lambda _: np.copyto(out, audio), block, rate, seconds)


def _paced(work: Callable[[int], object], block: int, rate: int, seconds: float) -> Count:
    lasts = block / rate
    due = max(1, round(seconds / lasts))
    with quiet():
        stamps = play(work, due, lasts, paced=True)
    late = int(np.count_nonzero(stamps[:, 2] - stamps[:, 0] > 1e9 * lasts))
    # What was due while another one took too long was lost, and is not among those played.
    return Count(due, max(0, due - len(stamps)) + late)
