"""What a listener beside the network costs: its own time, and what the audio thread feels of it.

    python -m soloist.benchmarks.listener [--model solo] [--seconds 60] [--json]

The model is played a hop at a time, each when it is due, with its listener and without it, in turns
of two seconds; then the listener's windows are timed alone.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..streaming.processor import Processor
from .environment import environment, environment_line
from .measuring import quiet
from .statistics import Statistics

_TURN_S = 2.0
_LEAST_S = 1.0  # fewer blocks cannot say what their p99 is
_SETTLING = 20  # blocks of a turn that are not counted
_WINDOWS = 50
_NAMES = ("without", "with")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.listener")
    parser.add_argument("--model", default="solo", help="shipped name or path of a bundle")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each way")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    try:
        if not options.seconds >= _LEAST_S:
            raise SoloistError(f"--seconds takes {_LEAST_S:g} or more, found {options.seconds:g}")
        bundle = Bundle.open(options.model)
        if bundle.listener is None:
            raise SoloistError(f"{options.model} has no listener")
        hops = measure(bundle, options.seconds)
        windows = time_windows(bundle)
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    share = windows["p50_ms"] / 1000 / bundle.listener.hearing.every_s
    if options.json:
        facts = {"environment": environment(), "hops": hops, "window": windows, "core": share}
        print(json.dumps(facts, indent=1))
        return 0
    print(environment_line(environment()))
    print(f"{'listener':<10}{'hops':>8}{'p50':>10}{'p99':>10}{'max':>10}{'late':>6}")
    for name, row in hops.items():
        print(
            f"{name:<10}{row['n']:>8}{row['p50_us']:>7.0f} us{row['p99_us']:>7.0f} us"
            f"{row['max_us']:>7.0f} us{row['late']:>6}"
        )
    print(f"its windows take {windows['p50_ms']:.1f} ms each, {share:.1%} of a core")
    return 0


def measure(bundle: Bundle, seconds: float) -> dict[str, dict[str, Any]]:
    """Time of each hop on the audio thread, each way, in microseconds."""
    hop, rate = bundle.spec.frames.hop, bundle.spec.sample_rate
    players = [Processor(bundle, device="cpu", listens=listens) for listens in (False, True)]
    for player in players:
        player.prepare(rate, hop, 1, block=hop, realtime=True)
    random = np.random.default_rng(0)
    audio = (0.1 * random.standard_normal((hop, 1))).astype(np.float32)
    out = np.zeros_like(audio)
    times: list[list[float]] = [[], []]
    blocks = round(min(_TURN_S, seconds) * rate / hop)
    with quiet():
        for _ in range(max(1, round(seconds * rate / hop / blocks))):
            for player, found in zip(players, times, strict=True):
                found += _turn(player, audio, out, blocks, hop / rate)[_SETTLING:]
    for player in players:
        player.release()
    deadline = 1e6 * hop / rate
    return {
        name: _row(Statistics.of(found, deadline))
        for name, found in zip(_NAMES, times, strict=True)
    }


def _turn(player: Processor, audio: Any, out: Any, blocks: int, period_s: float) -> list[float]:
    """Microseconds of each block, played when it is due."""
    found, due = [], time.perf_counter()
    for _ in range(blocks):
        due += period_s
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter_ns()
        player.process(audio, out)
        found.append((time.perf_counter_ns() - began) / 1000)
    return found


def _row(found: Statistics) -> dict[str, Any]:
    p50, p99 = (found.percentiles_us[name] or found.max_us for name in ("p50", "p99"))
    return {
        "n": found.n,
        "p50_us": p50,
        "p99_us": p99,
        "max_us": found.max_us,
        "late": found.misses,
    }


def time_windows(bundle: Bundle) -> dict[str, float]:
    """Milliseconds that the listener takes for a window, back to back."""
    listener = bundle.listener
    assert listener is not None
    random = np.random.default_rng(0)
    audio = (0.1 * random.standard_normal(listener.samples)).astype(np.float32)
    listener(audio)
    found = []
    for _ in range(_WINDOWS):
        began = time.perf_counter_ns()
        listener(audio)
        found.append((time.perf_counter_ns() - began) / 1e6)
    return {"p50_ms": float(np.median(found)), "max_ms": max(found)}


if __name__ == "__main__":
    sys.exit(main())
