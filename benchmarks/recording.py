"""What recording costs the audio thread: blocks with it and without, in turns.

    python -m soloist.benchmarks.recording [--seconds 20] [--rounds 3] [--json]

Plays the shipped model between the default devices (a JACK server with its dummy driver will do) in
the process that live play has, and records into a temporary folder every other time. Then it hands
blocks to a tape by itself: what of each block is spent on recording.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..streaming.live.plan import LivePlan
from ..streaming.live.recorder import RecordingPlan
from ..streaming.live.tape import Tape
from .environment import environment, environment_line
from .interface import play, total

BLOCK, CHANNELS, RATE = 128, 2, 48_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.recording")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine, plan = environment(), LivePlan("solo", device="cpu")
    found: dict[str, list[dict[str, float]]] = {"no": [], "yes": []}
    with tempfile.TemporaryDirectory() as folder:
        recording = replace(plan, recording=RecordingPlan(folder, ("solo",)))
        ways = [("no", plan), ("yes", recording)]
        for _ in range(options.rounds):
            ways.reverse()  # so that neither is always the first
            for way, each in ways:
                found[way].append(play(each, "its own", False, options.seconds))
    rows = [{"records": way, **total(rounds)} for way, rounds in found.items()]
    put = put_times(10_000)
    if options.json:
        print(json.dumps({"environment": machine, "rows": rows, "put, us": put}, indent=1))
        return 0
    print(environment_line(machine))
    print(f"{'records':<9}{'blocks':>8}{'late':>8}{'lost':>7}{'p50':>10}{'p99':>10}")
    for row in rows:
        print(
            f"{row['records']:<9}{row['blocks']:>8.0f}{row['late, %']:>6.2f} %{row['xruns']:>7.0f}"
            f"{row['p50, ms']:>7.3f} ms{row['p99, ms']:>7.3f} ms"
        )
    figures = ", ".join(f"{name} {value:.1f} us" for name, value in put.items())
    print(f"onto the tape, a block of {BLOCK} with one stem, {CHANNELS} channels: {figures}")
    return 0


def put_times(blocks: int) -> dict[str, float]:
    """Microseconds of `Tape.put`, by percentile."""
    tape = Tape(1, 4 * RATE, CHANNELS)
    dry = np.zeros((BLOCK, CHANNELS), np.float32)
    stems = np.zeros((1, BLOCK, CHANNELS), np.float32)
    taken = np.empty(blocks)
    for block in range(blocks):
        began = time.perf_counter_ns()
        tape.put(dry, stems)
        taken[block] = (time.perf_counter_ns() - began) * 1e-3
        tape.drop(BLOCK)
    return {name: float(np.percentile(taken, q)) for name, q in (("p50", 50), ("p99", 99))}


if __name__ == "__main__":
    raise SystemExit(main())
