"""What `soloist live` shows: a header, meters while it runs, a summary. All of it goes to stderr.

On a terminal one line is redrawn. Elsewhere there is the line READY once audio runs, and then a
plain line every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.live import Live
from rich.text import Text

from ..streaming.budget import LatencyBudget
from ..streaming.levels import decibels
from ..streaming.meters import Meters
from ..streaming.recorder import Recorded
from ..streaming.report import Report
from .console import people, say

Figures = TypeVar("Figures")

_PLAIN_S = 5.0
_METER_CELLS = 5
_EIGHTHS = " ▏▎▍▌▋▊▉"
_METER_FLOOR_DB = -60.0


@contextmanager
def display() -> Iterator[Callable[[Report], None]]:
    """A function that shows a stream's figures: redrawn on a terminal, else now and then."""
    if people.is_terminal and not people.is_dumb_terminal:
        # No refreshing thread: this loop ticks anyway, and threads compete with the callback.
        with Live(console=people, auto_refresh=False, transient=True) as line:
            yield lambda report: line.update(_meter_line(report), refresh=True)
        return
    say("READY")
    last = time.monotonic()

    def now_and_then(report: Report) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_S:
            last = time.monotonic()
            levels = _running(report.levels)
            say(
                f"in {decibels(levels.input.peak):.1f} dBFS, "
                f"out {decibels(levels.output.peak):.1f} dBFS, {_timing(_running(report.meters))}"
            )

    yield now_and_then


def _meter_line(report: Report) -> Text:
    """Fits 80 columns."""
    meters, latency = _running(report.meters), _running(report.latency)
    levels = _running(report.levels)
    p50, p99 = _load(meters)
    return Text.assemble(
        "in ",
        _bar(levels.input.peak),
        " out ",
        _bar(levels.output.peak),
        f" dB  load {p50} p99 {p99}  late {meters.overloads}  xruns {meters.xruns}",
        (f"  faults {meters.faults}" if meters.faults else "", "red"),
        f"  {latency.whole.ms:.2f} ms",
        no_wrap=True,
        overflow="crop",
    )


def _bar(peak: float) -> Text:
    """A bar in eighths of a cell, and the level in dBFS."""
    level = decibels(peak)
    eighths = round(8 * _METER_CELLS * min(max(1 - level / _METER_FLOOR_DB, 0.0), 1.0))
    full, part = divmod(eighths, 8)
    bar = "█" * full + (_EIGHTHS[part] if part else "")
    colour = "red" if level > -1 else "yellow" if level > -12 else "green"
    return Text.assemble((bar, colour), ("·" * (_METER_CELLS - len(bar)), "dim"), f" {level:5.1f}")


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
    if report.recording is not None:
        say(f"  record   into {report.recording.folder}")


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
    if counters.faults or counters.late or counters.bad_input or counters.shortfall:
        say(
            f"  {counters.faults} hops failed in the model, {counters.late} had no time left for "
            f"it, {counters.bad_input} input samples were no numbers, {counters.shortfall} samples "
            "were missing"
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
