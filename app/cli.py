"""The command `soloist`, and how it ends.

Exit codes: 0 done, 1 a fault of ours, 2 bad input or a device that cannot be opened, 3 a device
lost while running, 130 Ctrl-C. Whatever goes wrong is one line on stderr, `soloist: ...`.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import traceback
from collections.abc import Sequence

from ..runtime.errors import SoloistError

INTERRUPTED = 130


def main() -> None:
    """Entry point of the console script and of ``python -m soloist``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # words that its encoding does not have
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line, without the program's name, and return its exit code."""
    # --debug may stand anywhere: people add it to the end of the line that went wrong.
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _run(arguments or ["--help"])
    except SoloistError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError:
        return _fail("out of memory; take a shorter recording or fewer sounds at once", 2)
    except Exception as error:
        if debug:
            traceback.print_exc()
            return 1
        # Files of ours say their names.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            return _fail("cannot write the answer: no space left where it goes", 2)
        reason = f"{type(error).__name__}: {error}"
        return _fail(f"a fault of ours, {reason}; --debug shows where", 1)


def _run(arguments: Sequence[str]) -> int:
    # Libraries take Ctrl-C while they load for a fault of their own. Nothing is open yet, so the
    # system may end the process without them.
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        import typer

        from .commands import app
    finally:
        signal.signal(signal.SIGINT, handler)

    try:
        code = app(arguments, prog_name="soloist", standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "soloist"
        return _fail(f"{error.format_message()} ({command} --help says more)", error.exit_code)
    if sys.stdout is not None:
        sys.stdout.flush()  # a full disk is told here, and not after the exit
    # What a command returned or `typer.Exit` carried; most commands return nothing.
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    print("soloist:", " ".join(message.split()), file=sys.stderr)
    return code
