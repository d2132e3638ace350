"""A benchmark's figures as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ...benchmarks.environment import environment_line
from ...benchmarks.results import Run
from ..console import answer
from . import tables
from .tables import Grid


def show(runs: Sequence[Run]) -> None:
    """Print all of some runs, beside each other."""
    for run in runs:
        answer.print(f"{run.label}, {run.taken}", markup=False)
        answer.print(environment_line({**run.environment}), markup=False)
        for line in [*tables.notes(run), *tables.absent(run)]:
            answer.print(line, markup=False)
        answer.print()
    found = tables.entries(runs)
    # Tables as wide as they are: what reads a pipe, and who scrolls a terminal, wants all of it.
    wide = Console(highlight=False, markup=False, width=1000)
    for grid in (
        tables.times(found, runs),
        tables.costs(found),
        *map(tables.parts, tables.taken_apart(found)),
    ):
        wide.print(_table(grid))
        answer.print()
    for run in runs:
        answer.print(tables.verdict(run.measurements[0], run), markup=False)


def _table(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False, title=grid.title, title_justify="left")
    for number, heading in enumerate(grid.headings):
        table.add_column(heading, justify="left" if number < grid.left else "right", no_wrap=True)
    for row in grid.rows:
        table.add_row(*row)
    return table
