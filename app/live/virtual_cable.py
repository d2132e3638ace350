"""`soloist virtual-cable`: a microphone and a sink that other programs can choose."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import typer

from ...runtime.errors import DeviceError
from ...streaming.live import pulse
from ...streaming.live.virtual_cable import (
    ENDS,
    MICROPHONE,
    SINK,
    USER,
    End,
    EndName,
    create,
    look,
    remove,
)
from ..console import emit_json, say
from ..options import Json

virtual_cable = typer.Typer(
    help="A virtual microphone and a virtual sink, on Linux.", no_args_is_help=False
)

STEPS = {
    "darwin": """\
macOS makes no virtual devices by itself. With BlackHole, which is free:
  1. brew install blackhole-2ch, or its installer from https://existential.audio/blackhole
  2. To be a microphone for others: soloist live -o BlackHole, and choose "BlackHole 2ch" as the
     microphone in the other program.
  3. To hear what a program plays: choose "BlackHole 2ch" as its output (or as the system's, in
     System Settings, Sound), then soloist live -i BlackHole -o "Headphones"
  4. To hear it there as well: Audio MIDI Setup, +, Create Multi-Output Device, tick the built-in
     output first and BlackHole second, and choose that as the output.""",
    "win32": """\
Windows makes no virtual devices by itself. With VB-CABLE, which is donationware:
  1. Download it from https://vb-audio.com/Cable, unpack it, run VBCABLE_Setup_x64.exe as
     administrator, and restart Windows.
  2. To be a microphone for others: soloist live -o "CABLE Input WASAPI", and choose "CABLE Output"
     as the microphone in the other program. (What goes into the cable's input comes out there.)
  3. To hear what a program plays: choose "CABLE Input" as its output (Settings, System, Sound,
     Volume mixer), then soloist live -i "CABLE Output WASAPI" -o "Headphones WASAPI"
  4. Set 48000 Hz for both of its ends, in Sound settings, More sound settings, Advanced.""",
}

_PURPOSE = {
    "microphone": (MICROPHONE, "`soloist live --virtual-mic` plays what others record from it"),
    "sink": (SINK, "`soloist live --virtual-sink` hears what others play into it"),
}


@virtual_cable.command("create")
def create_command(as_json: Json = False) -> int:
    """Make both, to stay until logout."""
    if not _here():
        return _elsewhere(as_json)
    made: list[EndName] = []
    try:
        for end in ENDS:
            if create(end, USER):
                made.append(end)
    except DeviceError:  # both or none
        for end in made:
            remove(end)
        raise
    return status(as_json)


@virtual_cable.command("remove")
def remove_command(as_json: Json = False) -> int:
    """Remove both, and what a crash left."""
    if not _here():
        return _elsewhere(as_json)
    removed = [name for name in ENDS if remove(name)]
    if as_json:
        emit_json({"removed": removed})
    elif removed:
        say(f"removed: {' and '.join(_PURPOSE[name][0] for name in removed)}")
    else:
        say("there was nothing of ours to remove")
    return 0


@virtual_cable.command()
def status(as_json: Json = False) -> int:
    """Show what there is."""
    if not _here():
        return _elsewhere(as_json)
    server, ends = pulse.server(), look()
    if as_json:
        emit_json({"server": asdict(server), "ends": [_facts(end) for end in ends]})
        return 0
    say(f"virtual cable on {server.name}")
    for end in ends:
        device, purpose = _PURPOSE[end.name]
        say(f"  {device:<12}  {end.state}; {purpose}")
    return 0


def _here() -> bool:
    return sys.platform.startswith("linux")


def _elsewhere(as_json: bool) -> int:
    steps = STEPS.get(sys.platform, "There is no virtual cable for this system.")
    if as_json:
        emit_json({"system": sys.platform, "steps": steps.splitlines()})
    else:
        say(steps)
    return 2


def _facts(end: End) -> dict[str, Any]:
    return {
        "name": end.name,
        "device": _PURPOSE[end.name][0],
        "state": end.state,
        "kept_by": USER if end.keeper == USER else end.process,
        "parts": end.parts,
        "modules": end.modules,
    }
