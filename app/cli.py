"""The command `soloist`: which sub-commands there are, and how every one of them ends.

Exit codes: 0 done, 1 a fault of ours, 2 bad input or a device that cannot be opened, 3 a device
lost while running, 130 Ctrl-C. Whatever goes wrong is one line on stderr, `soloist: ...`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..runtime.errors import SoloistError
from .audio import devices, live
from .console import say
from .demo import demo
from .evaluate import evaluate
from .export import export
from .info import info
from .queries import queries
from .separate import separate

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for command in (demo, devices, live, separate, info, queries, export, evaluate):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"soloist {__version__}")
        raise typer.Exit()


@app.callback()
def soloist(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback when Soloist itself is at fault.")
    ] = False,
) -> None:
    """Separates one sound from many, live, asked for in words."""


def main() -> None:
    """Entry point of the console script and of ``python -m soloist``."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line, without the program's name, and return its exit code."""
    # --debug may stand anywhere: people add it to the end of the line that went wrong.
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        return _code(app(arguments or ["--help"], prog_name="soloist", standalone_mode=False))
    except SoloistError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(_usage(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
            return 1
        reason = f"{type(error).__name__}: {error}"
        return _fail(f"a fault of ours, {reason}; --debug shows where", 1)


def _code(result: object) -> int:
    # What `typer.Exit` carried, or what a command returned: None unless it says otherwise.
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int) -> int:
    say("soloist: " + " ".join(message.split()))
    return code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "soloist"
    return f"{error.format_message()} ({command} --help says more)"
