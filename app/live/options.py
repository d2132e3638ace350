"""Options of `soloist live` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...runtime.errors import DeviceError
from ...streaming.live import plan
from ...streaming.live.recorder import Format
from ..devices import devices
from . import presets


def _list_devices(wanted: bool) -> None:
    if wanted:
        devices()
        raise typer.Exit()


def latency_hint(text: str) -> str | float:
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


Preset = Annotated[
    str | None,
    typer.Argument(
        metavar="[PRESET]",
        callback=presets.apply,
        is_eager=True,
        help="What --save-preset wrote: a name or a file. Other options win over it.",
    ),
]
Limiter = Annotated[
    bool, typer.Option("--limiter/--no-limiter", help="Let no sample out above -0.3 dBFS.")
]
InputDevice = Annotated[
    str | None,
    typer.Option("--input-device", "-i", metavar="INDEX|WORDS", help="Where sound comes from."),
]
OutputDevice = Annotated[
    str | None,
    typer.Option("--output-device", "-o", metavar="INDEX|WORDS", help="Where it goes to."),
]
VirtualMic = Annotated[
    bool,
    typer.Option(
        "--virtual-mic",
        help="Be a microphone, soloist-mic, for other programs (PulseAudio, PipeWire).",
    ),
]
VirtualSink = Annotated[
    bool,
    typer.Option(
        "--virtual-sink",
        help="Hear what other programs play into soloist-sink (PulseAudio, PipeWire).",
    ),
]
Loopback = Annotated[
    bool,
    typer.Option("--loopback", help="Hear what the computer plays on its default output."),
]
ListDevices = Annotated[
    bool,
    typer.Option(
        "--list-devices", "-l", callback=_list_devices, is_eager=True, help="List and leave."
    ),
]
Jack = Annotated[
    bool,
    typer.Option(
        "--jack",
        help="Be a client of JACK whose ports a DAW or patchbay connects: an insert. With -i or -o "
        "that side is connected to the client of that name.",
    ),
]
ClientName = Annotated[
    str, typer.Option("--client-name", metavar="NAME", help="What JACK calls this client.")
]
BlockSize = Annotated[
    int,
    typer.Option("--block-size", "--blocksize", "-b", min=0, help="Frames; 0: the driver's own."),
]
SampleRate = Annotated[
    int | None,
    typer.Option(
        "--sample-rate",
        "--samplerate",
        "-r",
        min=1,
        help="Hertz; else the model's, or the devices' own where they lack that.",
    ),
]
Channels = Annotated[
    int | None, typer.Option("--channels", "-c", min=1, help="Else what both devices have.")
]
LatencyHint = Annotated[
    str,
    typer.Option(
        "--latency",
        metavar="low|high|SECONDS",
        help="A hint to the driver, and the slack between two devices' clocks.",
    ),
]
Exclusive = Annotated[
    bool,
    typer.Option("--exclusive", help="Open the devices for this alone (WASAPI, Core Audio)."),
]
KeepAwake = Annotated[
    bool,
    typer.Option(
        "--keep-awake",
        help="Let processors not sleep between blocks: they begin sooner, for more power (Linux).",
    ),
]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Never skip the network when late, for drivers that wait, too."),
]
Schedule = Annotated[
    plan.Schedule,
    typer.Option(
        "--schedule",
        help="Run the model within the audio callback; or on a thread of its own, with a whole "
        "block's time: a block later (worker), or no later and with the masks of the block before "
        "(trailing).",
    ),
]
Tight = Annotated[
    bool,
    typer.Option(
        "--tight", help="Windowed models: less delay, with little time to spare for windows."
    ),
]
Threads = Annotated[
    int, typer.Option("--threads", min=1, max=64, help="Of the network, on the CPU.")
]
Duration = Annotated[
    float | None, typer.Option("--duration", min=0.0, help="Seconds; else until q or Ctrl-C.")
]
Reconnect = Annotated[
    float,
    typer.Option("--reconnect", min=0.0, help="Seconds to wait for devices that were lost."),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="DIR",
        help="Record the input, each sound and the rest, in a new folder in DIR.",
    ),
]
RecordFormat = Annotated[
    Format,
    typer.Option("--record-format", help="Floating point, or half the size and clipped."),
]
SavePreset = Annotated[
    str | None,
    typer.Option(
        "--save-preset",
        metavar="NAME|FILE",
        help="Write all of this into a preset once audio runs.",
    ),
]
JsonEvents = Annotated[
    bool,
    typer.Option("--json", help="Print what happens as JSON on stdout, an object a line."),
]
