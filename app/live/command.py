"""`soloist live`: a model between two audio devices.

It plays in a process of its own until q, Ctrl-C, SIGTERM, the end of the duration, or until the
devices are lost for good; `view` is what one sees meanwhile.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ...runtime.bundle import Bundle
from ...streaming.live.jack_graph import JackOptions
from ...streaming.live.plan import LivePlan
from ...streaming.live.process import LiveProcess
from ...streaming.live.recorder import RecordingPlan
from ...streaming.live.report import Report
from ...streaming.processor import Mode
from ..console import say
from ..options import (
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
from ..outputs import make_folder
from ..windows import Advance, Lookahead, in_frames
from ..words import asked_of
from . import last_session, presets
from .asking import Asking
from .desk import Desk
from .events import EventLines
from .options import (
    BlockSize,
    Channels,
    ClientName,
    Duration,
    Exclusive,
    InputDevice,
    Jack,
    JsonEvents,
    KeepAwake,
    LatencyHint,
    Limiter,
    ListDevices,
    Loopback,
    OutputDevice,
    Preset,
    Reconnect,
    Record,
    RecordFormat,
    SampleRate,
    SavePreset,
    Schedule,
    Threads,
    Tight,
    VirtualMic,
    VirtualSink,
    Wait,
    latency_hint,
)
from .patching import Wanted, patched
from .session import Session
from .terminal import TerminalView, is_ours
from .view import Lines, View, print_header


def live(
    context: typer.Context,
    preset: Preset = None,
    query: Queries = None,
    unwanted: Unwanted = None,
    keep: Keep = True,
    gain: Gain = None,
    rest: Rest = None,
    linked: Linked = True,
    limiter: Limiter = True,
    model: Model = SHIPPED,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    virtual_mic: VirtualMic = False,
    virtual_sink: VirtualSink = False,
    loopback: Loopback = False,
    list_devices: ListDevices = False,
    jack: Jack = False,
    client_name: ClientName = "soloist",
    block_size: BlockSize = 0,
    sample_rate: SampleRate = None,
    channels: Channels = None,
    latency: LatencyHint = "low",
    exclusive: Exclusive = False,
    wait: Wait = False,
    schedule: Schedule = "inline",
    keep_awake: KeepAwake = False,
    advance: Advance = None,
    lookahead: Lookahead = None,
    tight: Tight = False,
    device: Device = "auto",
    threads: Threads = 1,
    duration: Duration = None,
    reconnect: Reconnect = 60.0,
    record: Record = None,
    record_format: RecordFormat = "wav",
    save_preset: SavePreset = None,
    as_json: JsonEvents = False,
) -> int:
    """Separate a sound live, from one audio device to another.

    Ends with 0 after --duration or q, 130 after Ctrl-C, 143 after SIGTERM, 3 when devices were lost
    and did not come back.
    """
    keep_in = None if save_preset is None else presets.prepare(save_preset)
    if record is not None:
        make_folder(record)
    wanted = Wanted(input_device, output_device, virtual_mic, virtual_sink, loopback, jack)
    # The process loads while the words are looked up.
    with _signals() as caught, patched(wanted) as patch, LiveProcess() as process:
        bundle = Bundle.open(model)
        asked = asked_of(bundle, query, unwanted)
        mode: Mode = "keep" if keep else "remove"
        asking = Asking(bundle, mode, asked, unwanted or (), process.set_conditioning)
        plan = LivePlan(
            str(bundle.path),
            mode=mode,
            linked=linked,
            device=device,
            threads=threads,
            conditioning=asked.conditioning,
            negatives=asked.negatives,
            state={"limiter": float(limiter), **levels(len(asked.words), gain, rest)},
            input_device=patch.input_device,
            output_device=patch.output_device,
            jack=JackOptions(jack, client_name),
            sample_rate=sample_rate,
            block_size=block_size,
            channels=channels,
            latency=latency_hint(latency),
            wait=wait,
            schedule=schedule,
            exclusive=exclusive,
            awake=keep_awake,
            advance=in_frames(advance, bundle.spec),
            lookahead=in_frames(lookahead, bundle.spec),
            budget="measured" if tight else "advance",
            recording=None
            if record is None
            else RecordingPlan(str(record), asking.file_names, record_format),
        )
        title = f"{bundle.spec.name}, {asking.task}"
        title += f", at {', '.join(map(GAIN.text, gain))}" if gain else ""
        title += "" if rest is None else f", rest {GAIN.text(rest)}"
        title += "" if schedule == "inline" else f", schedule {schedule}"
        desk = Desk(asking.words, plan, process.set)
        view: View
        if as_json:
            view = EventLines(bundle.spec.name, plan.mode, asked.words, unwanted or ())
        elif is_ours():
            view = TerminalView(bundle.spec.name, asking, desk)
        else:
            view = Lines()
        with last_session.remembered(process) as faults:
            with view:
                report = process.start(plan)
                print_header(report, title)
                if keep_awake and not report.kept_awake:
                    say("  awake    no: that takes Linux, and a right to /dev/cpu_dma_latency")
                told = _by_name(context.params, report) if wanted.plain else context.params
                if keep_in is not None:
                    presets.save(keep_in, told)
                    say(f"written: {keep_in}")
                view.start(report)
                session = Session(process, plan, desk, asking, view, patch, caught, faults)
                lost = session.play(duration, reconnect)
            code = session.finish(lost)
            if keep_in is not None and (desk.turned or asking.changed):
                turned = desk.levels if desk.turned else {}
                asked_last = {"query": asking.words} if asking.changed else {}
                presets.save(keep_in, told | turned | asked_last)
                say(f"written: {keep_in}, with words and gains as they were at the end")
            return code


def _by_name(told: dict[str, Any], report: Report) -> dict[str, Any]:
    """What `live` was told, with devices by the names of those that it opened: indices move."""
    assert report.wiring is not None
    opened = {"input_device": report.wiring.source, "output_device": report.wiring.sink}
    return told | {key: name for key, name in opened.items() if told[key] is not None}


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
