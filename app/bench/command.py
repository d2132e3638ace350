"""`soloist bench`: what models cost on this machine, as a table, as JSON and as a page.

One way through: settings are measured, what was found is a `Run`, and a `Run` is shown. What only
measures or draws is imported when it is called: every command loads this file, `live` in a hurry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ...benchmarks.results import Run, read_run
from ...benchmarks.statistics import PERCENTILES
from ...runtime.bundle import Bundle
from ...runtime.errors import SoloistError
from ...streaming.live.plan import LivePlan
from ..console import emit_json, say, to_json
from ..live.options import InputDevice, LatencyHint, OutputDevice, latency_hint
from ..live.patching import cabled
from ..options import SHIPPED
from ..outputs import check_writable, write_text
from .view import show

DAY_S = 86_400.0
_OF_DEVICES = {"input_device", "output_device", "latency", "jack"}


def numbers(most: int) -> Callable[[str], list[int]]:
    """Reads numbers from 1 to `most` with commas between them."""

    def read(text: str) -> list[int]:
        if not re.fullmatch(r"[1-9]\d{0,9}(,[1-9]\d{0,9})*", text):
            raise typer.BadParameter(f"found {text!r}, expected numbers such as 1,2,4")
        found = sorted({int(number) for number in text.split(",")})
        if found[-1] > most:
            raise typer.BadParameter(f"found {found[-1]}, at most {most}")
        return found

    return read


def names(text: str) -> list[str]:
    """Names with commas between them, each once."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise typer.BadParameter(f"found {text!r}, expected names such as cpu,cuda")
    return list(dict.fromkeys(found))


def known_percentile(name: str | None) -> str | None:
    """The name as it is, where a percentile is called so."""
    if name is not None and name not in PERCENTILES:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(PERCENTILES)}")
    return name


def _list(option: str, help: str, most: int | None = None) -> Any:
    """Of numbers up to `most`, or of names."""
    metavar, parser = ("NAME,...", names) if most is None else ("N,...", numbers(most))
    return typer.Option(option, metavar=metavar, parser=parser, help=help)


def bench(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Shipped models or bundles; with --compare results as JSON."
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0.1, max=DAY_S, help="Of each setting, at the pace of live play."
        ),
    ] = 10.0,
    block: Annotated[
        Any, _list("--block-size", "Frames of a block; else the model's hop.", 1 << 16)
    ] = None,
    threads: Annotated[Any, _list("--threads", "Of the network, on the CPU.", 64)] = "1",
    device: Annotated[
        Any, _list("--device", "cpu, cuda, cuda-graph, tensorrt, ..., or all.")
    ] = "auto",
    precision: Annotated[
        Any, _list("--precision", "Of the weights: int8, fp32; else as they are.")
    ] = None,
    queries: Annotated[Any, _list("--queries", "Sounds asked for at once.", 1000)] = None,
    streams: Annotated[Any, _list("--streams", "Played in turn on one core.", 1000)] = "1",
    channels: Annotated[Any, _list("--channels", "Of a stream, computed as one batch.", 64)] = "1",
    advance: Annotated[
        Any, _list("--advance", "Windowed models: frames from window to window.", 1 << 16)
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            "--fit",
            metavar="PERCENTILE",
            callback=known_percentile,
            help="Also find how many streams one core plays in time by this, such as p99.9.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the figures there; - for stdout."),
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page of them there.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="What this run is called; else the CPU.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure nothing: show results that --json wrote.")
    ] = False,
    round_trip: Annotated[
        bool,
        typer.Option(
            "--loopback",
            help="Measure instead how late sound comes back from the output to the input, which a "
            "cable connects, without Soloist and through it.",
        ),
    ] = False,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    latency: LatencyHint = "low",
    jack: Annotated[
        bool,
        typer.Option("--jack", help="--loopback over JACK, from our own output to our own input."),
    ] = False,
) -> None:
    """Measure how long models take, back to back and at the pace of live play.

    Lists with commas make a sweep: every combination is measured, in turns. Empty hops, in turns
    with the others, tell the machine's noise apart. Other work on the machine shows in the figures.
    --loopback is about devices instead: -i, -o, --latency, --jack, a model, --block-size and --json
    go with it.
    """
    to_stdout = json_file == Path("-")
    for file in (None if to_stdout else json_file, html_file):
        if file is not None:
            check_writable(file)
    _check_kind(context, round_trip, compare)
    if compare:
        _compare([Path(name) for name in models or ()], json_file, html_file)
        return
    if round_trip:
        if len(models or ()) > 1 or len(block or ()) > 1:
            raise SoloistError("--loopback takes one model and one --block-size; name one each")
        from ...benchmarks.round_trip import own_ports
        from .loopback import loopback

        with cabled(input_device, output_device) as patch:
            plan = LivePlan(
                str(Bundle.open((models or [SHIPPED])[0]).path),
                input_device=patch.input_device,
                output_device=patch.output_device,
                block_size=block[0] if block else 0,
                latency=latency_hint(latency),
            )
            loopback(own_ports(plan) if jack else plan, json_file)
        return
    from .run import measured

    choices = {
        "device": device,
        "precision": precision,
        "threads": threads,
        "block": block,
        "queries": queries,
        "streams": streams,
        "channels": channels,
        "advance": advance,
    }
    given = {name: values for name, values in choices.items() if values is not None}
    run = measured(models or [SHIPPED], given, seconds, fit, label)
    if to_stdout:
        emit_json(asdict(run))
    else:
        show([run])
    if json_file and not to_stdout:
        write_text(json_file, to_json(asdict(run), indent=None) + "\n")
        say(f"written: {json_file}")
    if html_file:
        _write_page(html_file, [run])


def _check_kind(context: typer.Context, round_trip: bool, compare: bool) -> None:
    """Raise `SoloistError` for options of another kind of measurement, which would be ignored."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    told = {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    if compare and (wrong := told - {"models", "compare", "html_file", "json_file"}):
        raise SoloistError(f"--compare takes files and --html, not {_named(wrong)}")
    told -= {"models", "round_trip", "block", "json_file"}  # of both
    wrong = told - _OF_DEVICES if round_trip else told & _OF_DEVICES
    if wrong:
        when = "not with" if round_trip else "only with"
        raise SoloistError(f"{_named(wrong)}: {when} --loopback; leave out what is not meant")


def _named(parameters: Iterable[str]) -> str:
    """Options by their parameters."""
    spelled = {"block": "block-size", "round_trip": "loopback"}
    names = [spelled.get(each, each.removesuffix("_file")) for each in sorted(parameters)]
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _compare(files: list[Path], json_file: Path | None, html_file: Path | None) -> None:
    if not files or json_file:
        raise SoloistError(
            "--compare takes files that `soloist bench --json` wrote, and makes none itself"
        )
    runs = [read_run(file) for file in files]
    show(runs)
    if html_file:
        _write_page(html_file, runs)


def _write_page(file: Path, runs: list[Run]) -> None:
    from .page import page

    write_text(file, page(runs))
    say(f"written: {file}")
