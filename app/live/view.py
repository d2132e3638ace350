"""What `soloist live` shows: a header, then a screen, lines or events while it runs, a summary.

People read stderr. On a terminal they have a screen with keys (`terminal`); elsewhere there is
the line READY once audio runs, and then a plain line every few seconds. With --json, programs read
events from stdout (`events`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeVar

from ...streaming.live.budget import LatencyBudget
from ...streaming.live.levels import decibels
from ...streaming.live.meters import Meters
from ...streaming.live.recorder import Recorded
from ...streaming.live.report import Report
from ..console import say

Event = Literal["device-lost", "audio-back", "latency-changed", "recording-ended"]
Figures = TypeVar("Figures")

_PLAIN_S = 5.0


class View(Protocol):
    """Is told what a stream does, from its start to its end. `ended`: it is to end, as asked.

    All of it but `finish` is within a `with`, which gives back what the view has taken.
    """

    ended: bool

    def __enter__(self) -> object: ...
    def __exit__(self, *error: Any) -> None: ...

    def start(self, report: Report) -> None:
        """Audio runs."""

    def show(self, report: Report) -> None:
        """The figures, several times a second."""

    def tell(self, event: Event, text: str, report: Report | None = None) -> None:
        """Something happened; with the report that tells more of it, if any does."""

    def wait(self, seconds: float) -> None:
        """Let time pass, or less of it where something was asked for."""

    def finish(self, report: Report | None, code: int) -> None:
        """The last figures, if there are any, and the exit code."""


class Lines:
    """Plain lines now and then."""

    def __init__(self) -> None:
        self.ended = False
        self._said = 0.0

    def __enter__(self) -> object:
        return self

    def __exit__(self, *error: Any) -> None:
        """Nothing was taken."""

    def start(self, report: Report) -> None:
        """See `View`."""
        say("READY")
        self._said = time.monotonic()

    def show(self, report: Report) -> None:
        """See `View`."""
        if time.monotonic() - self._said >= _PLAIN_S:
            self._said = time.monotonic()
            levels = _running(report.levels)
            say(
                f"in {decibels(levels.input.peak):.1f} dBFS, "
                f"out {decibels(levels.output.peak):.1f} dBFS, {_timing(_running(report.meters))}"
            )

    def tell(self, event: Event, text: str, report: Report | None = None) -> None:
        """See `View`."""
        say(f"soloist: {text}" if event in ("device-lost", "recording-ended") else text)

    def wait(self, seconds: float) -> None:
        """See `View`."""
        time.sleep(seconds)

    def finish(self, report: Report | None, code: int) -> None:
        """See `View`."""
        if report is not None:
            print_summary(report)


def _load(meters: Meters) -> list[str]:
    """Median and 99th percentile of a callback's duration as parts of the block."""
    return [
        f"{100 * meters.share_of_block(ms):.0f} %"
        for ms in (meters.process_p50_ms, meters.process_p99_ms)
    ]


def _timing(meters: Meters) -> str:
    p50, p99 = _load(meters)
    faults = f", faults {meters.faults}" if meters.faults else ""
    return (
        f"process p50 {p50} p99 {p99} of {meters.block_ms:.2f} ms, "
        f"overloads {meters.overloads}, xruns {meters.xruns}{faults}"
    )


def print_header(report: Report, title: str) -> None:
    wiring, meters = _running(report.wiring), _running(report.meters)
    say(f"soloist live: {title} (Ctrl-C ends it)")
    say(f"  input    {wiring.source} ({wiring.input_channels} ch)")
    say(f"  output   {wiring.sink} ({wiring.output_channels} ch)")
    say(
        f"  audio    {wiring.sample_rate} Hz, blocks of {meters.block} frames "
        f"({meters.block_ms:.2f} ms)"
    )
    if wiring.sample_rate != wiring.model_rate:
        say(f"           resampled to the model's {wiring.model_rate} Hz and back")
    say(f"  network  on {wiring.provider}")
    _print_latency(_running(report.latency))
    if report.loose:
        say(f"  JACK     {unconnected(report.loose)}")
    if report.recording is not None:
        say(f"  record   into {report.recording.folder}")


def unconnected(ports: Sequence[str]) -> str:
    """A line on JACK's ports that nothing is connected to."""
    return f"nothing is connected to {', '.join(ports)}: a DAW or a patchbay does that"


def _print_latency(budget: LatencyBudget) -> None:
    """The parts one below the other, and what is not among them."""
    heading = "latency"
    for line in budget.whole.table().splitlines():
        say(f"  {heading:<7}  {line}")
        heading = ""
    if budget.driver_input is None or budget.driver_output is None:
        say("           and what the driver adds, which it does not say in full")


def print_summary(report: Report) -> None:
    meters, counters = _running(report.meters), _running(report.counters)
    say(f"soloist live: {meters.callbacks} blocks, {_timing(meters)}")
    if counters.dropped:
        say(f"  {counters.dropped} blocks came too late from the worker and were silent")
    if counters.faults or counters.late or counters.bad_input or counters.shortfall:
        say(
            f"  {counters.faults} hops failed in the model, {counters.late} had older masks for "
            f"want of time, {counters.bad_input} input samples were no numbers, "
            f"{counters.shortfall} samples were missing"
        )
    if report.recording is not None:
        _print_recorded(report.recording, _running(report.wiring).sample_rate)
    if report.fault:
        say(f"  {meters.faults} blocks were silenced by a fault of ours: {report.fault}")


def _print_recorded(recorded: Recorded, sample_rate: int) -> None:
    say(f"  recorded {recorded.frames / sample_rate:.1f} s into {recorded.folder}")
    if recorded.lost:
        say(f"  {recorded.lost} samples of it are silence, the disk was too slow for them")
    if recorded.error:
        say(f"  the recording ended early: {recorded.error}")


def _running(figures: Figures | None) -> Figures:
    """What every report of a stream that ran has."""
    assert figures is not None
    return figures
