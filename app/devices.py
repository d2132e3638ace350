"""`soloist devices`: the audio devices that `soloist live` can use."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from ..streaming.live.devices import list_devices
from .console import answer, emit_json, say
from .options import Json


def devices(as_json: Json = False) -> None:
    """List the audio devices that `live` can use."""
    # In JSON the fields of `Device` and its label, the name to store in scripts.
    found = list_devices()
    if as_json:
        emit_json([{"label": device.label, **asdict(device)} for device in found])
        return
    if not found:
        say("no audio devices found")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("", "index", "device", "inputs", "outputs", "rate"):
        table.add_column(heading, justify="left" if heading in ("", "device") else "right")
    for device in found:
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
