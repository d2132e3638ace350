"""The sub-commands of `soloist`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .bench.command import bench
from .bench.tune import tune
from .demo import demo
from .devices import devices
from .diagnostics import diagnostics
from .evaluate import evaluate
from .export import export
from .info import info
from .live.command import live
from .live.virtual_cable import virtual_cable
from .queries import queries
from .separate import separate
from .train import train

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for command in (
    demo,
    devices,
    live,
    separate,
    queries,
    info,
    bench,
    tune,
    export,
    train,
    evaluate,
    diagnostics,
):
    app.command()(command)
app.add_typer(virtual_cable, name="virtual-cable")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"soloist {__version__}")
        raise typer.Exit()


@app.callback()
def soloist(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback where Soloist itself is at fault.")
    ] = False,
) -> None:
    """Separates one sound from many, live, asked for in words."""
