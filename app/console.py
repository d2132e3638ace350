"""Where text goes: what a person reads on stderr, what was asked for on stdout.

Colour and moving bars appear on a terminal only, and never with NO_COLOR set; rich sees to both.
"""

from __future__ import annotations

import codecs
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

people = Console(stderr=True, highlight=False, soft_wrap=True)
answer = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for people, as it stands: brackets in it are no markup."""
    people.print(text, markup=False)


def emit_json(data: object, indent: int | None = 2) -> None:
    """`data` as JSON on stdout, at once; figures that are not finite become null.

    Where stdout does not take any letter, letters are in JSON's own escapes.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(to_json(data, indent, plain=codecs.lookup(encoding).name != "utf-8"), flush=True)


def to_json(data: object, indent: int | None = 2, *, plain: bool = False) -> str:
    """`data` as JSON text, `plain` in ASCII; figures that are not finite become null."""
    return json.dumps(finite(data), indent=indent, ensure_ascii=plain, allow_nan=False)


def finite(data: object) -> object:
    """`data` with None for figures that are not finite, also within lists and dictionaries."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


class Bar:
    """A progress bar's handle: `bar(done)` moves it to the fraction `done` of 1."""

    def __init__(self, progress: Progress, label: str, redraw: bool) -> None:
        self._progress, self._redraw = progress, redraw
        self._task = progress.add_task(label, total=1.0)

    def __call__(self, done: float) -> None:
        self._progress.update(self._task, completed=done, refresh=self._redraw)


@contextmanager
def progress_bar(label: str, *, thread: bool = True) -> Iterator[Bar]:
    """A bar on the terminal while the block runs; it leaves no trace when done.

    Without a `thread` to redraw it, which would get in the way of what is timed, it moves when it
    is told to.
    """
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    hidden = not people.is_terminal
    with Progress(
        *columns, console=people, transient=True, disable=hidden, auto_refresh=thread
    ) as progress:
        yield Bar(progress, label, redraw=not thread)
