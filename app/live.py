"""`soloist live`: a model between two audio devices.

It plays in a process of its own until Ctrl-C, SIGTERM, the end of the duration, or until the
devices are lost for good; `live_view` is what one sees meanwhile.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from ..runtime.bundle import Bundle
from ..runtime.errors import DeviceError, DeviceLost
from ..streaming.plan import LivePlan
from ..streaming.process import LiveProcess
from ..streaming.report import Report
from . import last_session, presets
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
    levels,
)
from .windows import Advance, Lookahead, in_frames
from .words import asked_of

# How often the devices are looked at and the meters redrawn.
_TICK_S = 0.1
# Between attempts to have lost devices back.
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0


def _list_devices(wanted: bool) -> None:
    if wanted:
        devices()
        raise typer.Exit()


def live(
    context: typer.Context,
    preset: Annotated[
        str | None,
        typer.Argument(
            metavar="[PRESET]",
            callback=presets.apply,
            is_eager=True,
            help="What --save-preset wrote: a name or a file. Other options win over it.",
        ),
    ] = None,
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
        str,
        typer.Option(
            "--latency",
            metavar="low|high|SECONDS",
            help="A hint to the driver, and the slack between two devices' clocks.",
        ),
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
    reconnect: Annotated[
        float,
        typer.Option("--reconnect", min=0.0, help="Seconds to wait for devices that were lost."),
    ] = 60.0,
    save_preset: Annotated[
        str | None,
        typer.Option(
            "--save-preset",
            metavar="NAME|FILE",
            help="Write all of this into a preset once audio runs.",
        ),
    ] = None,
) -> int:
    """Separate a sound live, from one audio device to another.

    Ends with 0 after --duration, 130 after Ctrl-C, 143 after SIGTERM, 3 when devices were lost and
    did not come back.
    """
    keep_in = None if save_preset is None else presets.prepare(save_preset)
    with LiveProcess() as process, _signals() as caught:  # it loads while the words are looked up
        bundle = Bundle.open(model)
        asked = asked_of(bundle, query, unwanted)
        plan = LivePlan(
            str(bundle.path),
            mode="keep" if keep else "remove",
            linked=linked,
            device=device,
            conditioning=asked.conditioning,
            negatives=asked.negatives,
            state={"limiter": float(limiter), **levels(len(asked.words), gain, rest)},
            input_device=input_device,
            output_device=output_device,
            sample_rate=sample_rate,
            block_size=block_size,
            channels=channels,
            latency=_latency_hint(latency),
            wait=wait,
            advance=in_frames(advance, bundle.spec),
            lookahead=in_frames(lookahead, bundle.spec),
            budget="measured" if tight else "advance",
        )
        title = f"{bundle.spec.name}, {'keep' if keep else 'remove'} {', '.join(asked.words)}"
        title += f", not {', '.join(unwanted)}" if unwanted else ""
        for what, level in (("at", gain), ("rest", rest)):
            title += "" if level is None else f", {what} {GAIN.text(level)}"
        end = time.monotonic() + duration if duration is not None else math.inf
        with last_session.remembered(process) as faults:
            report = process.start(plan)
            print_header(report, title)
            if keep_in is not None:
                presets.save(keep_in, _by_name(context.params, report))
                say(f"written: {keep_in}")
            return _play(process, plan, end, reconnect, caught, faults)


def _by_name(told: dict[str, Any], report: Report) -> dict[str, Any]:
    """What `live` was told, with devices by the names of those that it opened: indices move."""
    assert report.wiring is not None
    opened = {"input_device": report.wiring.source, "output_device": report.wiring.sink}
    return told | {key: name for key, name in opened.items() if told[key] is not None}


def _play(
    process: LiveProcess,
    plan: LivePlan,
    end: float,
    reconnect: float,
    caught: list[int],
    faults: list[str],
) -> int:
    """Play until `end`; where devices are lost, try for `reconnect` seconds to have them back.

    Losses are added to `faults`.
    """
    while True:
        try:
            _watch(process, end, caught)
            break
        except DeviceLost as error:
            faults.append(str(error))
            say(f"soloist: {error}")
            if not _recover(process, plan, reconnect, end, caught):
                return error.exit_code
    report = process.stop()
    print_summary(report)
    return 1 if report.fault else 128 + caught[0] if caught else 0


def _recover(
    process: LiveProcess, plan: LivePlan, patience: float, end: float, caught: list[int]
) -> bool:
    """Whether the devices came back in time."""
    give_up = min(time.monotonic() + patience, end)
    pause = _FIRST_PAUSE_S
    while not caught and time.monotonic() < give_up:
        try:
            report = process.restart(plan)
        except DeviceError:  # not there yet
            time.sleep(min(pause, max(0.0, give_up - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        else:
            assert report.latency is not None
            say(f"audio is back, latency {report.latency.whole}")
            return True
    return False


def _watch(process: LiveProcess, end: float, caught: list[int]) -> None:
    """Shows the meters until a signal came or the time is over; raises DeviceLost."""
    latency = process.report().latency
    with display() as show:
        while not caught and time.monotonic() < end:
            time.sleep(_TICK_S)
            report = process.check()
            if report.latency != latency:
                latency = report.latency
                say(f"the driver changed its block size: latency is now {latency}")
            show(report)


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
