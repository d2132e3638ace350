"""`soloist live`: a model between two audio devices.

It plays until Ctrl-C, SIGTERM, the end of the duration, or until the devices are lost; `live_view`
is what one sees meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from ..runtime.bundle import Bundle
from ..runtime.errors import DeviceError, SoloistError
from ..streaming.live import LiveStream
from ..streaming.processor import Processor
from .cli import INTERRUPTED
from .console import say
from .devices import devices
from .live_view import display, print_header, print_summary
from .options import (
    GAIN,
    SHIPPED,
    Device,
    Gain,
    Keep,
    Linked,
    Model,
    Queries,
    Rest,
    Unwanted,
    set_levels,
)
from .windows import Advance, Lookahead, in_frames
from .words import asked_of

# How often the devices are looked at and the meters redrawn.
_TICK_S = 0.1


def _list_devices(wanted: bool) -> None:
    if wanted:
        devices()
        raise typer.Exit()


def live(
    query: Queries = None,
    unwanted: Unwanted = None,
    keep: Keep = True,
    gain: Gain = None,
    rest: Rest = None,
    linked: Linked = True,
    limiter: Annotated[
        bool, typer.Option("--limiter/--no-limiter", help="Let no sample out above -0.3 dBFS.")
    ] = True,
    model: Model = SHIPPED,
    input_device: Annotated[
        str | None,
        typer.Option("--input-device", "-i", metavar="INDEX|WORDS", help="Where sound comes from."),
    ] = None,
    output_device: Annotated[
        str | None,
        typer.Option("--output-device", "-o", metavar="INDEX|WORDS", help="Where it goes to."),
    ] = None,
    list_devices: Annotated[
        bool,
        typer.Option(
            "--list-devices", "-l", callback=_list_devices, is_eager=True, help="List and leave."
        ),
    ] = False,
    block_size: Annotated[
        int,
        typer.Option(
            "--block-size", "--blocksize", "-b", min=0, help="Frames; 0: the driver's own."
        ),
    ] = 0,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            "--sample-rate",
            "--samplerate",
            "-r",
            min=1,
            help="Hertz; else the model's, or the devices' own where they lack that.",
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", "-c", min=1, help="Else what both devices have.")
    ] = None,
    latency: Annotated[
        str, typer.Option("--latency", metavar="low|high|SECONDS", help="A hint to the driver.")
    ] = "low",
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Never skip the network when late: for JACK's freewheel mode."),
    ] = False,
    advance: Advance = None,
    lookahead: Lookahead = None,
    tight: Annotated[
        bool,
        typer.Option(
            "--tight", help="Windowed models: less delay, with little time to spare for windows."
        ),
    ] = False,
    device: Device = "auto",
    duration: Annotated[
        float | None, typer.Option("--duration", min=0.0, help="Seconds; else until Ctrl-C.")
    ] = None,
) -> int:
    """Separate a sound live, from one audio device to another.

    Ends with 0 after --duration, 130 after Ctrl-C, 143 after SIGTERM, 3 when a device was lost.
    """
    bundle = Bundle.open(model)
    asked = asked_of(bundle, query, unwanted)
    processor = Processor(
        bundle,
        mode="keep" if keep else "remove",
        linked=linked,
        device=device,
        conditioning=asked.conditioning,
        negatives=asked.negatives,
        advance=in_frames(advance, bundle.spec),
        lookahead=in_frames(lookahead, bundle.spec),
        budget="measured" if tight else "advance",
    )
    set_levels(processor, gain, rest)
    processor.set("limiter", float(limiter))
    stream = LiveStream(
        processor,
        input_device,
        output_device,
        sample_rate=sample_rate,
        block_size=block_size,
        channels=channels,
        latency=_latency_hint(latency),
        wait=wait,
    )
    title = f"{bundle.spec.name}, {'keep' if keep else 'remove'} {', '.join(asked.words)}"
    title += "".join(
        f", {what} {GAIN.text(level)}"
        for what, level in (("at", gain), ("rest", rest))
        if level is not None
    )
    title += f", not {', '.join(unwanted)}" if unwanted else ""
    with _signals() as caught:
        return _play(stream, title, duration, caught)


def _play(stream: LiveStream, title: str, duration: float | None, caught: list[int]) -> int:
    try:
        stream.start()
        print_header(stream, title)
        _watch(stream, duration, caught)
    except SoloistError as error:
        say(f"soloist: {error}")  # at once: closing what is lost can take seconds
        return _end(stream, error.exit_code)
    except BaseException as error:
        if not stream.stop():  # then `cli` is never reached, which would tell it
            interrupted = isinstance(error, KeyboardInterrupt)
            fault = f"a fault of ours, {type(error).__name__}: {error}"
            say(f"soloist: {'the audio devices do not close' if interrupted else fault}")
            _leave(INTERRUPTED if interrupted else 1)
        raise
    print_summary(stream)
    return _end(stream, 1 if stream.fault else 128 + caught[0] if caught else 0)


def _end(stream: LiveStream, code: int) -> int:
    """Closes the devices and gives `code` back."""
    if not stream.stop():
        _leave(code)
    return code


def _leave(code: int) -> None:
    """Ends the process where PortAudio hangs: in Python's own exit it would again, or abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
