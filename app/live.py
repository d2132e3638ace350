"""What the commands `live` and `devices` do.

`run_live` plays a model between two devices until Ctrl-C, SIGTERM, the end of the duration, or
until the devices are lost; `live_view` is what one sees meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from ..runtime.bundle import Bundle
from ..runtime.errors import DeviceError, DeviceLost
from ..runtime.queries import conditioning_for
from ..separators.encoders import load_encoder
from ..streaming.devices import list_devices
from ..streaming.live import LiveStream
from ..streaming.processor import Processor
from .console import answer, emit_json, say
from .live_view import display, print_header, print_summary

# How often the devices are looked at and the meters redrawn.
_TICK_S = 0.1


def show_devices(as_json: bool = False) -> int:
    """Prints the audio devices on stdout: a table, or JSON with the fields of `Device`
    and its `label`, the name to store in scripts."""
    devices = list_devices()
    if as_json:
        emit_json([{"label": device.label, **asdict(device)} for device in devices])
        return 0
    if not devices:
        say("no audio devices found")
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
    say("> default input, < default output")
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
    conditioning = conditioning_for(bundle, queries, load_encoder) if queries else None
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
        print_header(stream, title)
        _watch(stream, duration, caught)
    except DeviceLost as error:
        say(f"soloist: {error}")  # at once: closing what is lost can take seconds
        return _end(stream, error.exit_code)
    except BaseException:
        stream.stop()
        raise
    print_summary(stream)
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
    with display(stream) as show:
        while not caught and time.monotonic() < end:
            time.sleep(_TICK_S)
            stream.check()
            if stream.latency != latency:
                latency = stream.latency
                say(f"the driver changed its block size: latency is now {latency}")
            show()


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
