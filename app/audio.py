"""`soloist live` and `soloist devices`: their options. What they do is in `live`."""

from __future__ import annotations

from typing import Annotated

import typer

from . import live as playing
from .options import SHIPPED, Device, Json, Keep, Model, Queries


def devices(as_json: Json = False) -> int:
    """List the audio devices that `live` can use."""
    return playing.show_devices(as_json)


def _list_devices(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(playing.show_devices())


def live(
    query: Queries = None,
    keep: Keep = True,
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
        typer.Option("--sample-rate", "--samplerate", "-r", min=1, help="Hertz; else the model's."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", "-c", min=1, help="Else what both devices have.")
    ] = None,
    latency: Annotated[
        str, typer.Option("--latency", metavar="low|high|SECONDS", help="A hint to the driver.")
    ] = "low",
    device: Device = "auto",
    duration: Annotated[
        float | None, typer.Option("--duration", min=0.0, help="Seconds; else until Ctrl-C.")
    ] = None,
) -> int:
    """Separate a sound live, from one audio device to another."""
    return playing.run_live(
        model=model,
        queries=query or (),
        keep=keep,
        input_device=input_device,
        output_device=output_device,
        block_size=block_size,
        sample_rate=sample_rate,
        channels=channels,
        latency=latency,
        device=device,
        duration=duration,
    )
