"""Two sound cards whose clocks disagree, for an hour: delay, distortion and time of the bridge.

    python -m soloist.benchmarks.drift [--minutes 60] [--only WORDS] [--json]

No sound card: callbacks of both come at computed times, each late at random, and hand over a tone
of 1 kHz as it would be in the air. So the output tells the delay at any moment (by the phase of a
second channel, of 100 Hz) and what was added to the tone.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..streaming.live.clock_bridge import ClockBridge
from .environment import environment, environment_line

RATE = 48_000
TONE, PROBE = 1_000.0, 100.0  # Hertz, of the first channel and of the second
JITTER_S = 1e-3  # callbacks are late by up to this
MARGIN = 96
# Beyond so many Hertz from the tone everything counts as distortion or noise.
NOTCH_HZ = 20.0
# The tone is judged from then on: the filter has filled, and the clocks' disagreement is known.
SETTLED_S = 20

_BATCH = 256  # blocks whose times are computed at once

Numbers = NDArray[np.float64]
Samples = NDArray[np.float32]
Deviation = Callable[[Numbers], Numbers]  # from seconds to by how much a clock is fast


@dataclass(frozen=True)
class Case:
    """Two clocks, by how much each is fast, and the blocks that each counts off."""

    name: str
    fast_in: Deviation
    fast_out: Deviation
    block_in: int = 128
    block_out: int = 128


def _steady(ppm: float) -> Deviation:
    return lambda seconds: np.full_like(seconds, ppm * 1e-6)


def _wandering(ppm: float, period: float) -> Deviation:
    return lambda seconds: ppm * 1e-6 * np.sin(2 * np.pi / period * seconds)


def _stepping(ppm: float, every: float) -> Deviation:
    return lambda seconds: ppm * 1e-6 * np.where(seconds // every % 2, -1.0, 1.0)


CASES = (
    Case("fast in, slow out", _steady(200), _steady(-200)),
    Case("slow in, fast out", _steady(-200), _steady(200)),
    Case("both the same", _steady(200), _steady(200)),
    Case("128 in, 441 out", _steady(200), _steady(-200), 128, 441),
    Case("512 in, 64 out", _steady(-200), _steady(200), 512, 64),
    Case("wanders in 10 min", _wandering(200, 600), _wandering(-200, 600), 256, 256),
    Case("steps, every 5 min", _stepping(200, 300), _steady(0), 512, 441),
)


class Clock:
    """What a device counts off, from the true second `start` on: blocks, and when they come."""

    def __init__(self, fast: Deviation, block: int, seed: int, start: float) -> None:
        self._fast, self._block = fast, block
        self._random = np.random.default_rng(seed)
        self._time, self._blocks = start, 0

    def batch(self) -> tuple[Numbers, Numbers]:
        """The next blocks: the times at which they begin and the last one ends, (blocks + 1,), and
        those of their samples, (blocks, frames), in seconds."""
        nominal = (self._blocks + np.arange(_BATCH)) * self._block / RATE
        lasts = self._block / (RATE * (1.0 + self._fast(nominal)))
        starts = self._time + np.concatenate(([0.0], np.cumsum(lasts)))
        self._time, self._blocks = float(starts[-1]), self._blocks + _BATCH
        return starts, starts[:-1, None] + lasts[:, None] * (np.arange(self._block) / self._block)

    def late(self, times: Numbers) -> list[int]:
        """When callbacks due at these times come, in nanoseconds."""
        return [int(1e9 * due) for due in times + self._random.uniform(0.0, JITTER_S, len(times))]


def _inputs(clock: Clock) -> Iterator[tuple[int, Samples]]:
    """Input callbacks: a block is handed over when its last sample has passed."""
    while True:
        starts, times = clock.batch()
        turns = 2 * np.pi * np.stack([TONE * times, PROBE * times], axis=-1)
        audio = (0.5 * np.sin(turns)).astype(np.float32)
        yield from zip(clock.late(starts[1:]), audio, strict=True)


def _outputs(clock: Clock, ear: "Ear", channels: int = 2) -> Iterator[tuple[int, Samples]]:
    """Output callbacks: a block is filled when its first sample is due."""
    while True:
        starts, times = clock.batch()
        heard = np.zeros((*times.shape, channels), np.float32)
        yield from zip(clock.late(starts[:-1]), heard, strict=True)
        ear.hear(times.ravel(), heard.reshape(-1, channels))


class Ear:
    """Listens to what is played: its delay every 0.1 s, and the rest beside the tone, each second.

    What comes before the first sound is left out.
    """

    def __init__(self) -> None:
        self.delays: list[float] = []  # seconds
        self.noise: list[float] = []  # dB
        self._times, self._heard = np.empty(0), np.empty((0, 2), np.float32)
        angles = 2 * np.pi * np.arange(RATE) / RATE
        # Blackman and Harris' window of four terms: 92 dB between the tone and its skirts' end.
        terms = (0.35875, -0.48829, 0.14128, -0.01168)
        self._window = sum(term * np.cos(k * angles) for k, term in enumerate(terms))
        self._beside = np.abs(np.fft.rfftfreq(RATE, 1 / RATE) - TONE) > NOTCH_HZ

    def hear(self, times: Numbers, heard: Samples) -> None:
        """Samples (frames, 2) and when they are played."""
        if not len(self._heard):
            first = int(np.argmax(heard[:, 0] != 0.0)) if heard.any() else len(heard)
            times, heard = times[first:], heard[first:]
        self._times = np.concatenate([self._times, times])
        self._heard = np.concatenate([self._heard, heard])
        while len(self._heard) >= RATE:
            self._judge(self._times[:RATE], self._heard[:RATE].astype(float))
            self._times, self._heard = self._times[RATE:], self._heard[RATE:]

    def _judge(self, times: Numbers, heard: Numbers) -> None:
        power = np.abs(np.fft.rfft(self._window * heard[:, 0])) ** 2
        beside = power[self._beside].sum() / power[~self._beside].sum()
        self.noise.append(float(10 * np.log10(beside + 1e-20)))
        turned = heard[:, 1] * np.exp(-2j * np.pi * PROBE * times)
        pieces = turned.reshape(10, -1) @ np.hanning(RATE // 10)
        self.delays += list(-np.angle(1j * pieces) / (2 * np.pi * PROBE))


def run(case: Case, seconds: float) -> dict[str, float]:
    """Play that long; the figures by name and unit."""
    bridge = ClockBridge(RATE, 2, 4096, MARGIN)
    ear = Ear()
    inputs = _inputs(Clock(case.fast_in, case.block_in, 1, 0.0))
    outputs = _outputs(Clock(case.fast_out, case.block_out, 2, 0.0007), ear)
    came, given = next(inputs)
    asked, wanted = next(outputs)
    spent_in = spent_out = reads = 0
    while asked < seconds * 1e9:
        began = time.perf_counter_ns()
        if came <= asked:
            bridge.write(given, came)
            spent_in += time.perf_counter_ns() - began
            came, given = next(inputs)
        else:
            bridge.read(wanted, asked)
            spent_out += time.perf_counter_ns() - began
            reads += 1
            asked, wanted = next(outputs)
    latency = bridge.latency
    period = 1e3 / PROBE  # the phase does not tell by how many of these
    errors = (1e3 * np.array(ear.delays) - latency.ms + period / 2) % period - period / 2
    settled = ear.noise[SETTLED_S:]
    return {
        "delay, ms": latency.ms,
        "least error, ms": float(errors.min()),
        "greatest error, ms": float(errors.max()),
        "underruns": bridge.underruns,
        "overruns": bridge.overruns,
        "THD+N, dB": float(np.median(settled)),
        "worst second, dB": float(np.max(settled)),
        "µs a block": (spent_in + spent_out) / reads / 1e3,
        "core, %": 100 * (spent_in + spent_out) / 1e9 / seconds,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.drift")
    parser.add_argument("--minutes", type=float, default=60.0, help="of audio in each case")
    parser.add_argument("--only", default="", help="cases in whose name these words are")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine = environment()
    if not options.json:
        print(environment_line(machine))
        print(
            f"{'clocks':<20}{'delay, ms':>10}{'error, ms':>18}{'under':>7}{'over':>6}"
            f"{'THD+N':>10}{'worst':>8}{'block':>9}{'a core':>8}"
        )
    figures = {}
    for case in [case for case in CASES if options.only in case.name]:
        figure = figures[case.name] = run(case, 60 * options.minutes)
        if not options.json:
            print(_row(case.name, figure), flush=True)
    if options.json:
        print(json.dumps({"environment": machine, "cases": figures}, indent=1))
    return 0


def _row(name: str, figure: dict[str, float]) -> str:
    error = f"{figure['least error, ms']:+.3f} {figure['greatest error, ms']:+.3f}"
    return (
        f"{name:<20}{figure['delay, ms']:>10.2f}{error:>18}{figure['underruns']:>7.0f}"
        f"{figure['overruns']:>6.0f}{figure['THD+N, dB']:>10.1f}{figure['worst second, dB']:>8.1f}"
        f"{figure['µs a block']:>6.0f} µs{figure['core, %']:>6.2f} %"
    )


if __name__ == "__main__":
    raise SystemExit(main())
