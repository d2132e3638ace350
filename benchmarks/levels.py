"""What levels cost the audio thread: handed over, as live play does, or measured on the spot.

    python -m soloist.benchmarks.levels [--blocks 20000] [--json]

Blocks of the input, the output and two stems, in turns; only the peaks of input and output, as it
once was; and what a reading of all levels takes the thread beside it.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence

import numpy as np

from ..streaming.live.levels import LevelMeter
from .environment import environment, environment_line

BLOCK, CHANNELS, STEMS, RATE = 128, 2, 2, 48_000
BLOCK_US = 1e6 * BLOCK / RATE
READING_US = 60e3  # as often as the process that plays reports


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.levels")
    parser.add_argument("--blocks", type=int, default=20_000, help="of each way")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine, rows = environment(), measure(options.blocks)
    if options.json:
        print(json.dumps({"environment": machine, "us": rows}, indent=1))
        return 0
    print(environment_line(machine))
    print(f"{'levels':<24}{'p50':>11}{'p99':>11}{'of its time':>14}")
    lasting = (BLOCK_US, BLOCK_US, BLOCK_US, READING_US)
    for (name, (p50, p99)), lasts in zip(rows.items(), lasting, strict=True):
        print(f"{name:<24}{p50:>8.1f} us{p99:>8.1f} us{100 * p50 / lasts:>12.2f} %")
    return 0


def measure(blocks: int) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile, in microseconds, of each way."""
    rng = np.random.default_rng(1)
    audio = rng.uniform(-0.5, 0.5, (BLOCK, CHANNELS)).astype(np.float32)
    stems = rng.uniform(-0.5, 0.5, (STEMS, BLOCK, CHANNELS)).astype(np.float32)
    meter, rest = LevelMeter(RATE, STEMS, CHANNELS), np.empty_like(audio)

    def hand_over() -> None:
        meter.put_stems(audio, stems)
        meter.put_devices(audio, audio)

    def on_the_spot() -> None:
        np.copyto(rest, audio)
        for stem in stems:
            np.subtract(rest, stem, out=rest)
        for signal in (audio, audio, *stems, rest):
            flat = signal.reshape(-1)
            _ = max(flat[flat.argmax()], -flat[flat.argmin()]), flat.dot(flat)

    def two_peaks() -> None:
        for signal in (audio, audio):
            _ = max(float(signal.max()), -float(signal.min()))

    ways: dict[str, Callable[[], object]] = {
        "handed over": hand_over,
        "measured on the spot": on_the_spot,
        "two peaks on the spot": two_peaks,
        "read by another thread": meter.read,
    }
    taken = {name: np.empty(blocks) for name in ways}
    for number in range(blocks):
        for name, way in ways.items():
            began = time.perf_counter_ns()
            way()
            taken[name][number] = (time.perf_counter_ns() - began) * 1e-3
    return {
        name: (float(np.percentile(us, 50)), float(np.percentile(us, 99)))
        for name, us in taken.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
