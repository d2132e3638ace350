"""A benchmark as one page: charts, tables and the machine, with nothing to be fetched.

The page around them is `assets/bench.html`, filled in by `string.Template`: nearly all that changes
is SVG, which a template language would not make any shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from ... import __version__
from ...benchmarks.results import Run
from . import tables
from .charts import SERIES
from .figures import figures
from .tables import Entry, Grid, duration, share

_TEMPLATE = Path(__file__).parents[1] / "assets" / "bench.html"


def page(runs: Sequence[Run]) -> str:
    """The HTML of one run, or of several beside each other; each has one measurement or more."""
    found = tables.entries(runs)
    share_of_each = max(1, SERIES // len(runs))
    shown = [e for run in runs for e in [e for e in found if e.run is run][:share_of_each]][:SERIES]
    grids = (
        tables.times(found, runs),
        tables.costs(found),
        *map(tables.parts, tables.taken_apart(found)),
    )
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        title=escape(" and ".join(run.label for run in runs)),
        version=escape(__version__),
        runs="".join(_summary(run, runs) for run in runs),
        more=""
        if len(shown) == len(found)
        else f"<p>The charts show {len(shown)} of {len(found)} settings.</p>",
        figures=figures(shown, runs),
        tables="".join(map(_table, grids)),
        machines="".join(_machine(run, runs) for run in runs),
    )


def _summary(run: Run, runs: Sequence[Run]) -> str:
    """What to know first: a sentence and a few figures of a run's first measurement."""
    entry = tables.entries([run])[0]
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in _tiles(entry)
    )
    notes = _notes([*tables.notes(run)])
    heading = f"<h2>{escape(run.label)}</h2>" if len(runs) > 1 else ""
    return (
        f'<section class="run">{heading}'
        f'<p class="lead">{escape(tables.verdict(entry.measured, run))}</p>'
        f"<dl>{tiles}</dl><p class=when>{escape(entry.name)}, {escape(run.taken)}</p>"
        f"{notes}</section>"
    )


def _tiles(entry: Entry) -> Iterator[tuple[str, str]]:
    measured, paced = entry.measured, entry.measured.paced
    yield "delay, before the sound card", f"{measured.latency_ms:.2f} ms"
    if paced is not None:
        known = [(name, us) for name, us in paced.percentiles_us.items() if us is not None]
        for name, us in dict.fromkeys([*known[:1], *known[-1:]]):
            yield f"a block, {name}", duration(us)
        if paced.deadline_us is not None:
            yield f"late, of {paced.n:,} blocks", f"{paced.misses:,}"
    if measured.cpu_share is not None:
        yield "of a core", share(measured.cpu_share)
    if measured.cold_start is not None:
        start = measured.cold_start
        whole = start.imported_ms + start.loaded_ms + start.first_block_ms
        yield "start to first block", f"{whole / 1000:.2f} s"
        if start.memory_mb is not None:
            yield "memory", f"{start.memory_mb:.0f} MB"
    if measured.si_sdri_db is not None:
        yield "SI-SDRi, bundled mixtures", f"{measured.si_sdri_db:.1f} dB"


def _table(grid: Grid) -> str:
    head = "".join(
        f'<th scope="col"{_left(number, grid)}>{escape(text)}</th>'
        for number, text in enumerate(grid.headings)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{_left(n, grid)}>{escape(text)}</td>" for n, text in enumerate(row))
        + "</tr>"
        for row in grid.rows
    )
    return (
        f"<h3>{escape(grid.title)}</h3><div class=scroll><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _left(number: int, grid: Grid) -> str:
    return " class=left" if number < grid.left else ""


def _machine(run: Run, runs: Sequence[Run]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in tables.environment(run).rows
    )
    heading = f"<h3>{escape(run.label)}</h3>" if len(runs) > 1 else ""
    return f"{heading}<dl class=machine>{rows}</dl>{_notes(tables.absent(run))}"


def _notes(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul class=notes>{items}</ul>" if items else ""
