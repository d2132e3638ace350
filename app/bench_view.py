"""A benchmark's figures as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from ..benchmarks.environment import environment_line
from ..benchmarks.results import Fit, Measurement, Run
from ..benchmarks.statistics import PERCENTILES, Statistics
from .console import answer


def show(run: Run) -> None:
    """Print all of a run."""
    # Tables as wide as they are: what reads a pipe, and who scrolls a terminal, wants all of it.
    wide = Console(highlight=False, width=1000)
    answer.print(f"{run.label}, {run.taken}", markup=False)
    answer.print(environment_line({**run.environment}), markup=False)
    for line in _notes(run):
        answer.print(line, markup=False)
    answer.print()
    for table in (_times(run), _costs(run), *_parts(run.measurements)):
        wide.print(table)
        answer.print()
    for fit in run.fits:
        answer.print(told(fit), markup=False)
    for choice, why in (run.absent or {}).items():
        answer.print(f"not measured: {choice}: {why}", markup=False)


def told(fit: Fit) -> str:
    """How many streams fit, in a sentence."""
    setting = Differences([fit]).name(fit)
    return (
        f"{setting}: one core plays {fit.streams} streams in time ({fit.percentile} of a block of "
        f"all, of {fit.deadline_us:.0f} µs)"
    )


class Differences:
    """Names of settings by what they differ in."""

    def __init__(self, measured: Sequence[Measurement | Fit]) -> None:
        found: dict[str, set[str]] = {}
        for each in measured:
            for name, value in each.setting.items():
                found.setdefault(name, set()).add(str(value))
        self._differing = [name for name, values in found.items() if len(values) > 1]

    def name(self, measured: Measurement | Fit) -> str:
        """The model, and what not all have in common."""
        told = [spelled(name, measured.setting.get(name)) for name in self._differing]
        return ", ".join([measured.name, *filter(None, told)])


def spelled(name: str, value: object) -> str:
    """A choice as people say it: "cpu", "2 threads", "blocks of 64"."""
    if value is None:
        return ""
    if name in ("device", "precision"):
        return str(value)
    if name == "block":
        return f"blocks of {value}"
    if name == "advance":
        return f"advance {value}"
    return f"{value} {name if value != 1 else name.removesuffix('s').replace('querie', 'query')}"


def _notes(run: Run) -> Iterator[str]:
    facts = run.environment
    steal, busy = facts.get("steal"), facts.get("busy")
    if busy is not None:
        yield (
            f"meanwhile the cores were busy for {busy:.0%} of the time, the hypervisor took "
            f"{steal:.1%}; load after {facts.get('load_after')}"
        )
    if run.wakeups is not None and run.wakeups.misses:
        rate = run.wakeups.misses / run.wakeups.n
        yield (
            f"the machine alone is late: of {run.wakeups.n} empty hops {rate:.2%} woke up after "
            "their time was over"
        )


def _times(run: Run) -> Table:
    table = Table(box=None, pad_edge=False, title="µs a block", title_justify="left")
    columns = ("", "", "n", *PERCENTILES, "max", "lasts", "late")
    for heading in columns:
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    names = Differences(run.measurements)
    for measured in run.measurements:
        ways = {
            "back to back": measured.back_to_back,
            "paced": measured.paced,
            "paced, from when due": measured.response,
            "windows": measured.windows,
        }
        for way, statistics in ways.items():
            if statistics is not None:
                table.add_row(names.name(measured), way, *_row(statistics))
    if run.wakeups is not None:
        table.add_row("empty hops", "wake-ups", *_row(run.wakeups))
    return table


def _row(statistics: Statistics) -> list[str]:
    deadline = statistics.deadline_us
    return [
        str(statistics.n),
        *(microseconds(value) for value in statistics.percentiles_us.values()),
        microseconds(statistics.max_us),
        microseconds(deadline),
        "-" if deadline is None else str(statistics.misses),
    ]


def microseconds(value: float | None) -> str:
    """With one place after the point below 1000; a dash for what is too few to say."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _costs(run: Run) -> Table:
    headings = ("", "latency ms", "RTF", "network µs", "CPU", "SI-SDRi dB", "import ms", "load ms")
    table = Table(box=None, pad_edge=False)
    for heading in (*headings, "first block ms", "memory MB"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    names = Differences(run.measurements)
    for measured in run.measurements:
        start = measured.cold_start
        started = (
            (start.imported_ms, start.loaded_ms, start.first_block_ms, start.memory_mb)
            if start
            else (None,) * 4
        )
        parts = (measured.parts_us or {}).get("paced", {})
        rtf = measured.paced and measured.paced.rtf
        table.add_row(
            names.name(measured),
            f"{measured.latency_ms:.2f}",
            "-" if rtf is None else f"{rtf:.3f}",
            microseconds(parts.get("network")),
            "-" if measured.cpu_share is None else f"{measured.cpu_share:.1%}",
            "-" if measured.si_sdri_db is None else f"{measured.si_sdri_db:.2f}",
            *("-" if value is None else f"{value:.1f}" for value in started),
        )
    return table


def _parts(measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Where the time of a block goes, of those that were taken apart."""
    for measured in measurements:
        ways = measured.parts_us or {}
        if not ways or len(next(iter(ways.values()))) <= 2:
            continue
        table = Table(box=None, pad_edge=False)
        table.add_column(f"{measured.name}: where the time goes, µs", no_wrap=True)
        for way in ways:
            table.add_column(way, justify="right", no_wrap=True)
        for part in next(iter(ways.values())):
            table.add_row(part, *(f"{parts[part]:.1f}" for parts in ways.values()))
        yield table
