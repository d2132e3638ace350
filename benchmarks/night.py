"""A night of live play, as fast as it goes: what grows, what drifts, what is counted.

    python -m soloist.benchmarks.night [MODEL] [--engine] [--hours 8] [--block 128] [--json]

A `LiveStream` between the ends of a device without hardware, whose callbacks come one after the
other, watched from another thread as the process that plays does it. It hears what
`benchmarks.soak` plays, and words and gains change every 5 s. Once a minute the processor is
bypassed: what is heard then is the input, as late as promised, to the bit, or not at all.
`--engine` plays the model's frames around a network that changes nothing, which takes a fifth of
the time.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.queries import conditioning_for
from ..runtime.session import PassThroughSession
from ..streaming.live.devices import instead_of_portaudio
from ..streaming.live.report import Page
from ..streaming.live.simulation import SimulatedDevice, Simulation
from ..streaming.live.stream import LiveStream
from ..streaming.processor import Processor
from .environment import environment, environment_line
from .soak import TENTHS, WORDS, change, given, recording, resident_mb, slope

Audio = NDArray[np.float32]

TURN_S = 5.0  # between other words and gains
LISTEN_TURNS = 12  # every so many turns, bypass for as long as one lasts
COMPARED = 1024  # samples that must agree to the bit at one delay
LONGEST_DELAY = 1024
_TICK_S = 0.06  # how often the stream is watched, as in `streaming.live.child`


@dataclass(frozen=True)
class Tenth:
    """One tenth of the night: callbacks in microseconds, memory at its end in MB, counts so far."""

    p50_us: float
    p99_us: float
    resident_mb: float
    overloads: int
    xruns: int
    late: int


class Listener:
    """The device's two ends. What it hears is compared with what it played.

    `delays` are the samples by which it came back, -1 where it did not come back as it was.
    `silent` counts the comparisons that silence would have passed at any delay, and were left out.
    """

    def __init__(self, blocks: Audio, words: Audio, turn: int) -> None:
        self.processor: Processor | None = None  # once it plays
        self.played = 0
        self.delays: list[int] = []
        self.silent = 0
        self.finite = True
        self._blocks, self._words, self._blocks_a_turn = blocks, words, turn
        self._given = np.zeros(COMPARED + LONGEST_DELAY, np.float32)
        self._heard = np.zeros(COMPARED, np.float32)

    def play(self, block: Audio) -> None:
        """The next block of the recording."""
        block[:] = given(self._blocks, self.played)
        _push(self._given, block[:, 0])

    def hear(self, block: Audio) -> None:
        """What came of it, between two callbacks: time for other settings."""
        _push(self._heard, block[:, 0])
        self.played += 1
        turn, block_of_turn = divmod(self.played, self._blocks_a_turn)
        if block_of_turn == 0 and self.processor is not None:
            self._turn(self.processor, turn)

    def _turn(self, processor: Processor, turn: int) -> None:
        self.finite = self.finite and bool(np.isfinite(self._heard).all())
        if processor.bypass:
            self._compare()
        change(processor, self._words, turn)
        processor.bypass = turn % LISTEN_TURNS == 0

    def _compare(self) -> None:
        if not self._heard.any():
            self.silent += 1
            return
        ways = np.lib.stride_tricks.sliding_window_view(self._given, COMPARED)[::-1]
        found = np.flatnonzero((ways == self._heard).all(axis=1))
        self.delays.append(int(found[0]) if len(found) else -1)


def night(
    processor: Processor,
    words: Audio,
    hours: float,
    block: int = 128,
    told: Callable[[Tenth], None] = lambda _: None,
) -> dict[str, Any]:
    """Play that long, with one of `words` [n, D] at a time, `told` of each tenth; all figures."""
    rate = processor.sample_rate
    listener = Listener(recording(block), words, round(TURN_S * rate / block))
    wire = SimulatedDevice("wire", listener.play, listener.hear, block=block, sample_rate=rate)
    page = Page.create()
    tenths: list[Tenth] = []
    tenth = int(hours * 3600 * rate / block / TENTHS)
    with instead_of_portaudio(Simulation([wire])):
        stream = LiveStream(processor)
        try:
            stream.start()
            listener.processor = processor
            for number in range(1, TENTHS + 1):
                while listener.played < number * tenth:
                    time.sleep(_TICK_S)
                    stream.check()
                    page.write(stream.report())
                tenths.append(_tenth(stream))
                told(tenths[-1])
        finally:
            stream.stop()
            page.remove()
    return {
        "model": processor.spec.name,
        "hours": listener.played * block / rate / 3600,
        "blocks": listener.played,
        "tenths": [asdict(each) for each in tenths],
        "resident_slope_kb_per_hour": slope(
            [each.resident_mb for each in tenths], int(1e6 * hours / TENTHS)
        ),
        "delay_promised": processor.latency_samples,
        "delays_found": sorted(set(listener.delays)),
        "comparisons": len(listener.delays),
        "silent": listener.silent,
        "finite": listener.finite,
        "faults": stream.board.faults,
        "counters": asdict(stream.counters),
    }


def with_model(model: str) -> tuple[Processor, Audio]:
    """A processor, and what it is asked for in turns."""
    bundle = Bundle.open(model)
    words = conditioning_for(bundle, WORDS)
    return Processor(bundle, device="cpu", conditioning=words[:1]), words


def without_network(model: str) -> tuple[Processor, Audio]:
    """The same engine around no network; its words are what it multiplies by."""
    session = PassThroughSession(replace(Bundle.open(model).spec, name=f"{model}'s engine"))
    return Processor(session), np.array([[1.0], [0.5], [0.25], [0.75]], np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.night")
    parser.add_argument("model", nargs="?", default="solo")
    parser.add_argument("--engine", action="store_true", help="without the model's network")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--block", type=int, default=128, help="frames of a callback")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine = environment()
    played = without_network(options.model) if options.engine else with_model(options.model)
    if options.json:
        figures = night(*played, options.hours, options.block)
        print(json.dumps({"environment": machine, **figures}, indent=1))
        return 0
    print(environment_line(machine))
    print(f"{'p50 µs':>9}{'p99':>9}{'resident MB':>13}{'overloads':>11}{'xruns':>7}{'late':>9}")
    figures = night(
        *played, options.hours, options.block, lambda each: print(row(each), flush=True)
    )
    print(summary(figures))
    return 0


def row(tenth: Tenth) -> str:
    """One line of the table."""
    return (
        f"{tenth.p50_us:>9.1f}{tenth.p99_us:>9.1f}{tenth.resident_mb:>13.2f}"
        f"{tenth.overloads:>11}{tenth.xruns:>7}{tenth.late:>9}"
    )


def summary(figures: dict[str, Any]) -> str:
    """What the table does not say."""
    return "\n".join(
        [
            f"{figures['model']}: {figures['hours']:.2f} h of audio, {figures['blocks']} blocks",
            f"memory: {figures['resident_slope_kb_per_hour']:+.0f} KB per hour of audio from the "
            "second tenth on",
            f"delay: {figures['delay_promised']} samples promised, {figures['delays_found']} found "
            f"in {figures['comparisons']} comparisons ({figures['silent']} fell into silence)",
            f"output: {'all finite' if figures['finite'] else 'NOT FINITE'}; {figures['faults']} "
            f"faults, {figures['counters']}",
        ]
    )


def _tenth(stream: LiveStream) -> Tenth:
    meters = stream.read_meters()
    return Tenth(
        1e3 * meters.process_p50_ms,
        1e3 * meters.process_p99_ms,
        resident_mb(),
        meters.overloads,
        meters.xruns,
        stream.counters.late,
    )


def _push(past: Audio, block: Audio) -> None:
    past[: -len(block)] = past[len(block) :]
    past[-len(block) :] = block


if __name__ == "__main__":
    raise SystemExit(main())
