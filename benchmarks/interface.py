"""What it gains that audio has a process of its own: blocks that come late beside a busy interface.

    python -m soloist.benchmarks.interface [--seconds 20] [--rounds 3] [--json]

Plays the shipped model between the default devices (a JACK server with its dummy driver will do),
in this process and in one of its own, in turns; each beside an interface that rests, and beside one
whose thread never gives its interpreter a moment's peace.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..streaming.live.meters import Meters
from ..streaming.live.plan import LivePlan
from ..streaming.live.process import LiveProcess
from .environment import environment, environment_line

WAYS = tuple((where, busy) for busy in (False, True) for where in ("same process", "its own"))
SETTLE_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.interface")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine, plan = environment(), LivePlan("solo", device="cpu")
    found: dict[tuple[str, bool], list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for where, busy in WAYS:
            found[where, busy].append(play(plan, where, busy, options.seconds))
    rows = [
        {"plays in": where, "interface": "busy" if busy else "at rest", **total(rounds)}
        for (where, busy), rounds in found.items()
    ]
    if options.json:
        print(json.dumps({"environment": machine, "rows": rows}, indent=1))
        return 0
    print(environment_line(machine))
    print(
        f"{'plays in':<14}{'interface':<11}{'blocks':>8}{'late':>8}{'lost':>7}{'p50':>9}{'p99':>9}"
    )
    for row in rows:
        print(
            f"{row['plays in']:<14}{row['interface']:<11}{row['blocks']:>8.0f}"
            f"{row['late, %']:>6.2f} %{row['xruns']:>7.0f}{row['p50, ms']:>6.2f} ms"
            f"{row['p99, ms']:>6.2f} ms"
        )
    return 0


def play(plan: LivePlan, where: str, busy: bool, seconds: float) -> dict[str, float]:
    """Counts and block durations of one way; the first second does not count."""
    with _playing(plan, where) as read, _interface(busy):
        time.sleep(SETTLE_S)
        before = read()
        time.sleep(seconds)
        after = read()
    return {
        "blocks": after.callbacks - before.callbacks,
        "late": after.overloads - before.overloads,
        "xruns": after.xruns - before.xruns,
        "p50, ms": after.process_p50_ms,
        "p99, ms": after.process_p99_ms,
    }


@contextmanager
def _playing(plan: LivePlan, where: str) -> Iterator[Any]:
    if where == "its own":
        with LiveProcess() as process:
            process.start(plan)

            def read() -> Meters:
                meters = process.check().meters
                assert meters is not None
                return meters

            yield read
        return
    stream = plan.open()
    try:
        stream.start()
        yield stream.read_meters
    finally:
        stream.stop()


@contextmanager
def _interface(busy: bool) -> Iterator[None]:
    """What a busy program does: one Python thread that computes all the time."""
    ended = threading.Event()

    def work() -> None:
        count = 0
        while not ended.is_set():
            count += 1

    thread = threading.Thread(target=work if busy else ended.wait)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def total(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Rounds of one way together: sums of counts, medians of durations."""
    blocks = sum(each["blocks"] for each in rounds)
    return {
        "blocks": blocks,
        "late, %": 100 * sum(each["late"] for each in rounds) / max(1, blocks),
        "xruns": sum(each["xruns"] for each in rounds),
        "p50, ms": float(np.median([each["p50, ms"] for each in rounds])),
        "p99, ms": float(np.median([each["p99, ms"] for each in rounds])),
    }


if __name__ == "__main__":
    raise SystemExit(main())
