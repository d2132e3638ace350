"""How late a sound comes back through real devices, without Soloist and with it.

The output plays sweeps, and the input is to hear them: by a cable from one to the other, a virtual
cable, a loudspeaker and a microphone, or JACK, which connects ports to each other. Half of them go
out as they are: what is found then is the devices' own. The others go through the processor on
their way out, whole, with its network: what is added then is Soloist's, whatever any driver says of
itself. One stream plays them all: some systems have another delay each time that they are opened.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import DeviceError
from ..streaming.chain import Change
from ..streaming.live.budget import LatencyBudget
from ..streaming.live.jack_graph import (
    HOST_API,
    Connection,
    JackOptions,
    JackWiring,
    on_pipewire,
)
from ..streaming.live.levels import decibels
from ..streaming.live.meters import MeterBoard, Meters
from ..streaming.live.plan import LivePlan
from ..streaming.live.report import Report, Wiring
from ..streaming.live.stream import LiveStream
from ..streaming.processor import Processor
from .copying import CLIENT, Copying
from .probe import Probe, RoundTrip, listen

Samples = NDArray[np.float32]

SWEEPS = 6
"""On each of both ways."""
# Before the first sweep: drivers begin with gaps, and two clocks take a while to be told apart.
_SETTLE_S = 0.5
_TICK_S = 0.05
# Below this peak nothing came in but the converters' noise.
_FAINT_DB = -80.0
_UNSTEADY = (
    "the delay moved while it was measured, as xruns move it: ask for more with --latency high or "
    "--block-size 512, and measure again"
)
# What leads from our output to our input where it is a client: its rate only matters to its counts.
_CABLE = Wiring("", "", 1, 1, 48_000, 48_000, "")


class ProbedProcessor(Processor):
    """A processor whose input is recorded while it is given sweeps instead.

    The first `sweeps` go to the output as they are, as many from the frame `turn` on through the
    processor. Set `sweeps` before `prepare`.
    """

    sweeps = SWEEPS

    def prepare(self, sample_rate: int, max_block: int, channels: int, **options: Any) -> None:
        """As `Processor.prepare`, and with room for all that will be heard."""
        super().prepare(sample_rate, max_block, channels, **options)
        self.probe = probe = Probe(sample_rate)
        settle, sweeps = round(_SETTLE_S * sample_rate), range(self.sweeps)
        self.turn = settle + self.sweeps * probe.period
        self.total = 2 * self.turn
        self.starts, self.late_starts = (
            tuple(first + settle + number * probe.period for number in sweeps)
            for first in (0, self.turn)
        )
        self.played = np.zeros(self.total + max_block, np.float32)
        for start in (*self.starts, *self.late_starts):
            self.played[start : start + len(probe.sweep)] = probe.sweep
        self.captured = np.zeros((self.total + max_block, channels), np.float32)
        self.at = 0
        self._given = np.zeros((max_block, channels), np.float32)

    def process(
        self, audio: Samples, out: Samples, changes: Sequence[Change] = (), *, due_ns: int = 0
    ) -> None:
        """A block. Audio thread, prepared; silence once all was played."""
        at, frames = self.at, len(audio)
        if at >= self.total:
            out.fill(0.0)
            return
        self.captured[at : at + frames] = audio
        given = self._given[:frames]
        given[:] = self.played[at : at + frames, None]
        if at >= self.turn:
            super().process(given, out, changes, due_ns=due_ns)
        else:
            out[:] = given
        self.at = at + frames

    def reset(self) -> None:
        """As `Processor.reset`; the sweeps begin anew."""
        super().reset()
        self.at = 0


@dataclass(frozen=True)
class Passage:
    """One way of playing the sweeps, and what came of it.

    `clocks_ppm` is what the devices' two clocks disagree by, None where they have one.
    """

    round_trip: RoundTrip
    budget: LatencyBudget
    meters: Meters
    late_hops: int
    clocks_ppm: float | None

    def json(self) -> dict[str, object]:
        """The figures as plain values."""
        trip, meters = self.round_trip, self.meters
        rate = trip.sample_rate
        return {
            "sample_rate": rate,
            "frames": trip.delay,
            "ms": 1000 * trip.delay / rate,
            "spread_frames": trip.spread,
            "gain_db": trip.gain_db,
            "inverted": trip.inverted,
            "clarity_db": trip.clarity_db,
            "sweeps": trip.played,
            "heard": len(trip.echoes),
            "delay_drift_ppm": trip.drift_ppm,
            "clocks_ppm": self.clocks_ppm,
            "block": meters.block,
            "blocks": meters.callbacks,
            "overloads": meters.overloads,
            "xruns": meters.xruns,
            "late_hops": self.late_hops,
            "compute_ms": {"p50": meters.process_p50_ms, "p99": meters.process_p99_ms},
        }


@dataclass(frozen=True)
class _Played:
    """Sweeps that are over: the frames at which they began, and by which all had come back; the
    stream's figures then, the `late` hops among them, and the `speed` that a bridge had
    (`LiveStream.clock_speed`)."""

    starts: Sequence[int]
    end: int
    report: Report
    late: int
    speed: float | None


@dataclass(frozen=True)
class LoopbackReport:
    """Both ways, `plain` without Soloist and `through` it, between two devices."""

    source: str
    sink: str
    plain: Passage
    through: Passage

    @property
    def added(self) -> float:
        """Samples that Soloist adds, as measured."""
        return self.through.round_trip.delay - self.plain.round_trip.delay

    @property
    def steady(self) -> bool:
        """Whether the delay stayed what it was, within 1 ms, as far as most sweeps tell."""
        trips = self.plain.round_trip, self.through.round_trip
        return all(
            1000 * trip.spread < trip.sample_rate and 2 * len(trip.echoes) > trip.played
            for trip in trips
        )

    @property
    def claimed(self) -> int:
        """Samples that Soloist says it adds."""
        return self.through.budget.processing.total

    @property
    def unexplained(self) -> float | None:
        """Measured in all, less what is computed or reported; None where a driver says nothing."""
        budget = self.through.budget
        if budget.driver_input is None or budget.driver_output is None:
            return None
        return self.through.round_trip.delay - budget.whole.total

    def json(self) -> dict[str, object]:
        """All figures as plain values."""
        budget = self.through.budget
        return {
            "input": self.source,
            "output": self.sink,
            "plain": self.plain.json(),
            "through": self.through.json(),
            "added_frames": self.added,
            "claimed_frames": self.claimed,
            "steady": self.steady,
            "reported": dict(budget.whole.parts),
            "unexplained_frames": self.unexplained,
        }

    def table(self) -> str:
        """The same for people: frames and milliseconds."""
        budget, plain, through = self.through.budget, self.plain, self.through
        rate = plain.round_trip.sample_rate
        lines = [
            f"{self.source} hears {self.sink}; {rate} Hz, blocks of {plain.meters.block} frames",
            f"{'':<34}{'frames':>12}{'ms':>10}",
            *(_row(f"  {name}", samples, rate) for name, samples in budget.whole.parts),
            *(
                f"  {name:<32}{'not reported':>22}"
                for name, frames in (
                    ("driver in", budget.driver_input),
                    ("driver out", budget.driver_output),
                )
                if frames is None
            ),
            _row("devices alone, measured", plain.round_trip.delay, rate),
            _row("through Soloist, measured", through.round_trip.delay, rate),
            _row("Soloist's own, the difference", self.added, rate),
            _row("  as Soloist says", self.claimed, rate),
        ]
        if self.unexplained is not None:
            missing = self.unexplained
            name = "in no part of the above" if missing > -0.5 else "less than the parts above"
            lines.append(_row(name, missing, rate))
        meters = through.meters
        return "\n".join(
            [
                *lines,
                f"computing, within each block: p50 {meters.process_p50_ms:.2f} ms, "
                f"p99 {meters.process_p99_ms:.2f} ms of {meters.block_ms:.2f} ms",
                _heard("devices alone", plain),
                _heard("through Soloist", through),
                _clocks(through),
                *([] if self.steady else [_UNSTEADY]),
            ]
        )


def measure(
    plan: LivePlan, *, sweeps: int = SWEEPS, moved: Callable[[float], None] = lambda _: None
) -> LoopbackReport:
    """Both ways between the plan's devices, 1 s for each sweep; `moved` is told the part done.

    Raises DeviceError where nothing, or nothing clear, comes back.
    """
    # A graph that is a loop would be told our delay anew each time that it comes around.
    plan = replace(plan, jack=replace(plan.jack, tell=False))
    with _cable(plan):
        stream = plan.open(ProbedProcessor)
        processor = stream.processor
        assert isinstance(processor, ProbedProcessor)
        processor.sweeps = sweeps
        try:
            stream.start()
            played = _play(stream, processor, processor.starts, processor.turn, moved)
            again = _play(stream, processor, processor.late_starts, processor.total, moved)
        finally:
            stream.stop()
    plain, through = _found(processor, played), _found(processor, again)
    if plan.jack.wiring is not None:
        plain, through = _without_devices(plain), _without_devices(through)
    wiring = again.report.wiring
    assert wiring is not None
    return LoopbackReport(wiring.source, wiring.sink, plain, through)


def own_ports(plan: LivePlan) -> LivePlan:
    """The plan on JACK, with our own output connected to our own input.

    By way of a client that copies on PipeWire, where a client that is connected to itself hears
    nothing.
    """
    name = f"soloist-{os.getpid()}"  # no other client is called so, so that JACK does not change it
    ends = f"{name}:in_1, {HOST_API}", f"{name}:out_1, {HOST_API}"
    ways: tuple[Connection, ...] = (("out_1", f"{name}:in_1"),)
    if on_pipewire():
        ways = ("out_1", f"{CLIENT}:in_1"), ("in_1", f"{CLIENT}:out_1")
    return replace(plan, jack=JackOptions(True, name, JackWiring(*ends, 1, 1, ways)))


def _cable(plan: LivePlan) -> AbstractContextManager[object]:
    """What must be there to lead from the plan's output to its input, beside JACK."""
    wiring = plan.jack.wiring
    if wiring is None or not on_pipewire():
        return nullcontext()
    unconnected = replace(wiring, connections=())
    return Copying(Report("starting", _CABLE, jack=unconnected), plan.block_size, plan.latency)


def _without_devices(passage: Passage) -> Passage:
    """As between own ports: the block that is collected comes to them a period later."""
    budget = LatencyBudget(passage.budget.processing, passage.meters.block, 0, 0)
    return replace(passage, budget=budget)


def _play(
    stream: LiveStream,
    processor: ProbedProcessor,
    starts: Sequence[int],
    end: int,
    moved: Callable[[float], None],
) -> _Played:
    """Wait until the sweeps that begin at those frames are over, by the frame `end`."""
    speeds: list[float] = []
    sweeping = False
    while processor.at < end:
        time.sleep(_TICK_S)
        stream.check()
        moved(min(1.0, processor.at / processor.total))
        if not sweeping and processor.at >= starts[0]:  # what was before does not count
            sweeping, stream.board = True, MeterBoard(stream.sample_rate)
            stream.counters.clear()
        if sweeping and stream.clock_speed is not None:
            speeds.append(stream.clock_speed)
    speed = float(np.mean(speeds)) if speeds else None
    return _Played(starts, end, stream.report(), stream.counters.late, speed)


def _found(processor: ProbedProcessor, played: _Played) -> Passage:
    """What came back. Raises DeviceError where nothing, or nothing clear, did."""
    report = played.report
    assert report.latency and report.meters
    heard = _loudest(processor.captured[: played.end])
    trip = listen(processor.probe, heard, played.starts)
    if not trip.echoes:
        through = played.end > processor.turn
        raise DeviceError(_silence(heard[played.starts[0] :], through))
    # What a bridge resamples by is taken from the delay's growth that two clocks make.
    clocks = None if played.speed is None else 1e6 * played.speed + trip.drift_ppm
    return Passage(trip, report.latency, report.meters, played.late, clocks)


def _loudest(heard: Samples) -> Samples:
    """The channel [frames] with most energy of [frames, channels]: a cable may have but one."""
    return np.ascontiguousarray(heard[:, int(np.argmax(np.square(heard).sum(axis=0)))])


def _silence(heard: Samples, through: bool) -> str:
    peak = decibels(float(np.abs(heard).max()))
    if peak > _FAINT_DB:
        return f"the sweep was not found in what came in (peak {peak:.0f} dBFS)" + (
            " after Soloist; ask for another sound" if through else "; does the input hear it?"
        )
    level = "silence" if peak == -math.inf else f"a peak of {peak:.0f} dBFS"
    return (
        f"signal below threshold: while the output played a sweep, the input heard {level}; is the "
        "cable in, and are both turned up?"
    )


def _row(name: str, frames: float, rate: int) -> str:
    return f"{name:<34}{frames:>12.3f}{1000 * frames / rate:>10.3f}"


def _heard(name: str, passage: Passage) -> str:
    trip, meters = passage.round_trip, passage.meters
    return (
        f"{name}: heard {len(trip.echoes)} of {trip.played} sweeps, delays within "
        f"{trip.spread:.3f} frames, {trip.gain_db:+.1f} dB{', inverted' if trip.inverted else ''}, "
        f"the peak {trip.clarity_db:.0f} dB above all else; {meters.xruns} xruns and "
        f"{meters.overloads} late of {meters.callbacks} blocks"
    )


def _clocks(passage: Passage) -> str:
    drift = passage.round_trip.drift_ppm
    if passage.clocks_ppm is not None:
        return (
            f"two clocks, {passage.clocks_ppm:+.1f} ppm apart, which is resampled away: the delay "
            f"grows by {drift:+.2f} ppm"
        )
    return f"one clock: the delay grows by {drift:+.2f} ppm"
