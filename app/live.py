"""What the commands `live` and `devices` do.

`run_live` plays a model between two devices until Ctrl-C, SIGTERM, the end of the duration, or
until the devices are lost. On a terminal one line with meters is redrawn; elsewhere a plain line
comes every few seconds. All of it goes to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..runtime.bundle import Bundle
from ..runtime.errors import DeviceError, DeviceLost
from ..runtime.queries import conditioning_for
from ..streaming.devices import list_devices
from ..streaming.live import LiveStream
from ..streaming.meters import Meters, decibels
from ..streaming.processor import Processor
from .console import answer, emit_json, people, say

# How often the devices are looked at and the meters redrawn, and how often a plain line comes.
_TICK_S = 0.1
_PLAIN_S = 5.0
_METER_CELLS = 10
_METER_FLOOR_DB = -60.0


def show_devices(as_json: bool = False) -> int:
    """Prints the audio devices on stdout: a table, or JSON with the fields of `Device`
    and its `label`, the name to store in scripts."""
    devices = list_devices()
    if as_json:
        emit_json([{"label": device.label, **asdict(device)} for device in devices])
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("", "index", "device", "inputs", "outputs", "rate"):
        table.add_column(heading, justify="left" if heading in ("", "device") else "right")
    for device in devices:
        mark = (">" if device.default_input else " ") + ("<" if device.default_output else " ")
        table.add_row(
            mark,
            str(device.index),
            Text(device.label, overflow="fold"),
            str(device.input_channels),
            str(device.output_channels),
            f"{device.sample_rate:g} Hz",
        )
    answer.print(table)
    say("> default input, < default output" if devices else "no audio devices found")
    return 0


def run_live(
    *,
    model: str,
    queries: Sequence[str] = (),
    keep: bool = True,
    input_device: str | None = None,
    output_device: str | None = None,
    block_size: int = 0,
    sample_rate: int | None = None,
    channels: int | None = None,
    latency: str = "low",
    device: str = "auto",
    duration: float | None = None,
) -> int:
    """Plays `model` live with `queries` kept or removed (none: the words baked into it).

    Returns the exit code: 0 after `duration` seconds, 130 after Ctrl-C, 143 after SIGTERM, 3 when
    the devices went away (which it says), 1 when callbacks failed. Raises SoloistError for what
    keeps it from starting.
    """
    bundle = Bundle.open(model)
    conditioning = conditioning_for(bundle, queries) if queries else None
    processor = Processor(
        bundle, mode="keep" if keep else "remove", device=device, conditioning=conditioning
    )
    stream = LiveStream(
        processor,
        input_device,
        output_device,
        sample_rate=sample_rate,
        block_size=block_size,
        channels=channels,
        latency=_latency_hint(latency),
    )
    words = queries or [query.name for query in bundle.spec.queries]
    title = f"{bundle.spec.name}, {'keep' if keep else 'remove'} {', '.join(words)}"
    with _signals() as caught:
        return _play(stream, title, duration, caught)


def _play(stream: LiveStream, title: str, duration: float | None, caught: list[int]) -> int:
    try:
        stream.start()
        _print_header(stream, title)
        _watch(stream, duration, caught)
    except DeviceLost as error:
        say(f"soloist: {error}")  # at once: closing what is lost can take seconds
        return _end(stream, error.exit_code)
    except BaseException:
        stream.stop()
        raise
    _print_summary(stream)
    return _end(stream, 1 if stream.fault else 128 + caught[0] if caught else 0)


def _end(stream: LiveStream, code: int) -> int:
    """Closes the devices and gives `code` back. Where PortAudio hangs, the process ends here: in
    Python's own exit it would hang again or abort."""
    if not stream.stop():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _watch(stream: LiveStream, duration: float | None, caught: list[int]) -> None:
    """Shows the meters until a signal came or `duration` is over; raises DeviceLost."""
    end = time.monotonic() + duration if duration is not None else float("inf")
    latency = stream.latency
    with _display(stream) as show:
        while not caught and time.monotonic() < end:
            time.sleep(_TICK_S)
            stream.check()
            if stream.latency != latency:
                latency = stream.latency
                say(f"the driver changed its block size: latency is now {latency}")
            show()


@contextmanager
def _display(stream: LiveStream) -> Iterator[Callable[[], None]]:
    """A function that shows the stream's figures now: redrawn on a terminal, else now and then."""
    if people.is_terminal:
        # No refreshing thread: this loop ticks anyway, and threads compete with the callback.
        with Live(console=people, auto_refresh=False, transient=True) as line:
            yield lambda: line.update(_meter_line(stream.read_meters(), stream), refresh=True)
        return
    say("READY")
    last = time.monotonic()

    def now_and_then() -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_S:
            last = time.monotonic()
            meters = stream.read_meters()
            say(
                f"in {decibels(meters.input_peak):.1f} dBFS, "
                f"out {decibels(meters.output_peak):.1f} dBFS, {_timing(meters)}"
            )

    yield now_and_then


def _meter_line(meters: Meters, stream: LiveStream) -> Text:
    return Text.assemble(
        "in ",
        _bar(meters.input_peak),
        "  out ",
        _bar(meters.output_peak),
        f"  {_timing(meters)}, latency {stream.latency.processing.ms:.2f} ms",
        no_wrap=True,
        overflow="crop",
    )


def _bar(peak: float) -> Text:
    level = decibels(peak)
    filled = round(_METER_CELLS * min(max(1 - level / _METER_FLOOR_DB, 0.0), 1.0))
    colour = "red" if level > -1 else "yellow" if level > -12 else "green"
    return Text.assemble(
        ("█" * filled, colour), ("·" * (_METER_CELLS - filled), "dim"), f" {level:6.1f} dBFS"
    )


def _timing(meters: Meters) -> str:
    p50, p99 = (
        f"{100 * meters.share_of_block(ms):.0f} %"
        for ms in (meters.process_p50_ms, meters.process_p99_ms)
    )
    faults = f", faults {meters.faults}" if meters.faults else ""
    return (
        f"process p50 {p50} p99 {p99} of {meters.block_ms:.2f} ms, "
        f"overloads {meters.overloads}, xruns {meters.xruns}{faults}"
    )


def _print_header(stream: LiveStream, title: str) -> None:
    meters = stream.read_meters()
    say(f"soloist live: {title} (Ctrl-C ends it)")
    say(f"  input    {stream.source.label} ({stream.input_channels} ch)")
    say(f"  output   {stream.sink.label} ({stream.output_channels} ch)")
    say(
        f"  audio    {stream.sample_rate} Hz, blocks of {meters.block} frames "
        f"({meters.block_ms:.2f} ms)"
    )
    say(f"  latency  {stream.latency}")


def _print_summary(stream: LiveStream) -> None:
    meters, counters = stream.read_meters(), stream.counters
    say(f"soloist live: {meters.callbacks} blocks, {_timing(meters)}")
    if counters.faults or counters.bad_input or counters.shortfall:
        say(
            f"  {counters.faults} hops failed in the model, {counters.bad_input} input samples "
            f"were no numbers, {counters.shortfall} samples were missing"
        )
    if stream.fault is not None:
        say(
            f"  {meters.faults} blocks were silenced by a fault of ours: "
            f"{type(stream.fault).__name__}: {stream.fault}"
        )


def _latency_hint(text: str) -> str | float:
    """PortAudio's `low` and `high`, or a number of seconds."""
    if text in ("low", "high"):
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < 10.0:  # PortAudio itself would take a negative one
        raise DeviceError(f"--latency takes low, high or seconds below 10, found {text!r}")
    return seconds


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in the list; whoever sends a second one is not kept waiting."""
    caught: list[int] = []

    def collect(number: int, _: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {number: signal.signal(number, collect) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
