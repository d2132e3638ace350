"""How long the first words take that a model does not know: a fresh process to their embedding.

    python -m soloist.benchmarks.first_words [--runs 10] [--json]

Each run is a process of its own, on one core where the system lets it choose; its own time on the
core is what it would take alone there, whatever else runs. Files are in the system's cache after
the first run, which is not counted.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from .environment import environment, environment_line

STEPS = ("numpy", "onnxruntime", "tokenizers", "soloist", "opened", "encoded", "encoded again")
"""What is done by each stamp: four imports, the encoder opened, a phrase, another phrase."""

_CHILD = """
import os, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
stamps = [(time.perf_counter(), time.process_time())]
stamp = lambda: stamps.append((time.perf_counter(), time.process_time()))
import numpy; stamp()
import onnxruntime; stamp()
import tokenizers; stamp()
from soloist.runtime.queries import open_encoder; stamp()
encoder = open_encoder("all-MiniLM-L6-v2"); stamp()
encoder.encode(["a kettle that whistles"]); stamp()
encoder.encode(["rain on a tin roof"]); stamp()
for clock in zip(*stamps):
    print(*(1000 * (b - a) for a, b in zip(clock, clock[1:])))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.first_words")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine = environment()
    runs = np.array([_run() for _ in range(options.runs + 1)][1:])
    ours, encoded = STEPS.index("soloist"), STEPS.index("encoded") + 1
    rows = dict(zip(STEPS, np.moveaxis(runs, -1, 0), strict=True)) | {
        "imports of others": runs[..., :ours].sum(axis=-1),
        "ready": runs[..., ours:encoded].sum(axis=-1),
        "ready, from nothing": runs[..., :encoded].sum(axis=-1),
    }
    figures = {
        name: {"p50": wall, "max": float(clocks[:, 0].max()), "core_p50": core}
        for name, clocks in rows.items()
        for wall, core in [np.median(clocks, axis=0).tolist()]
    }
    if options.json:
        print(json.dumps({"environment": machine, "runs": options.runs, "ms": figures}, indent=1))
        return 0
    print(environment_line(machine))
    print(f"{f'ms, {options.runs} fresh processes':<24}{'p50':>9}{'max':>9}{'p50 on the core':>18}")
    for name, figure in figures.items():
        print(f"{name:<24}{figure['p50']:>9.1f}{figure['max']:>9.1f}{figure['core_p50']:>18.1f}")
    return 0


def _run() -> list[list[float]]:
    """Durations of the steps in ms, by the clock on the wall and by the time on the core."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True
    )
    return [[float(figure) for figure in line.split()] for line in child.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
