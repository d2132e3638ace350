"""`soloist bench`: what a model costs on this machine."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.spec import Spec
from .console import say
from .options import SHIPPED, Device, Json


def numbers(text: str) -> str:
    """Numbers of at least 1 with commas between them, as the benchmarks take them."""
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise typer.BadParameter(f"found {text!r}, expected numbers such as 1,2,4")
    return text


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Shipped models or bundles."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Of audio, at the pace of live play.")
    ] = 10.0,
    queries: Annotated[
        str,
        typer.Option(
            "--queries", metavar="N,...", parser=numbers, help="Numbers of queries that take turns."
        ),
    ] = "1,2",
    channels: Annotated[
        int, typer.Option("--channels", "-c", min=1, help="Computed as one batch.")
    ] = 1,
    advances: Annotated[
        str | None,
        typer.Option(
            "--advances",
            metavar="N,...",
            parser=numbers,
            help="Windowed models: frames to compare.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Measure how long a model takes, back to back and at the pace of live play.

    Percentiles of a hop or a window, late hops, where the time goes, the machine. Other work on the
    machine shows in the figures.
    """
    from ..benchmarks import latency, windows  # here: they load what no other command needs

    names = models or [SHIPPED]
    if as_json and len(names) > 1:
        raise SoloistError(f"--json takes one model at a time, found {len(names)}")
    for name in names:
        spec = Bundle.open(name).spec
        say(f"measuring {name}, which takes about {3 * seconds:.0f} s")
        common = ["--device", device, *(["--json"] if as_json else [])]
        if spec.kind == "streaming":
            options = ["--queries", queries, "--channels", str(channels), *_hops(spec, seconds)]
            code = latency.main([name, *options, *common])
        else:
            options = ["--seconds", str(seconds), *(["--advances", advances] if advances else [])]
            code = windows.main([name, *options, *common])
        if code:
            return code
    return 0


def _hops(spec: Spec, seconds: float) -> list[str]:
    """As many hops as the seconds have, and four times as many where nothing is waited for."""
    hops = max(1, round(seconds * spec.sample_rate / spec.frames.hop))
    return ["--paced-hops", str(hops), "--hops", str(4 * hops)]
