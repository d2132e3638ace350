"""A benchmark's figures as words and rows, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...benchmarks.results import Fit, Measurement, Run
from ...benchmarks.statistics import PERCENTILES, Statistics


@dataclass(frozen=True)
class Grid:
    """A table: its title, its headings, and rows of text; the first `left` columns are names."""

    title: str
    headings: tuple[str, ...]
    rows: list[list[str]]
    left: int = 1


@dataclass(frozen=True)
class Entry:
    """A measurement with a name that tells it from the others on the same page."""

    name: str
    run: Run
    measured: Measurement


def entries(runs: Sequence[Run]) -> list[Entry]:
    """All measurements, by the model and by what not all of them have in common."""
    measured = [each for run in runs for each in run.measurements]
    names = _Names([*measured, *(fit for run in runs for fit in run.fits)])
    return [
        Entry(_of(run, runs, names.name(each)), run, each)
        for run in runs
        for each in run.measurements
    ]


def fit_name(fit: Fit, run: Run, runs: Sequence[Run] = ()) -> str:
    """Which setting of the run's it is that so many streams of fit, beside those of other runs."""
    return _of(run, runs or [run], _Names(run.fits).name(fit))


def _of(run: Run, runs: Sequence[Run], name: str) -> str:
    return name if len(runs) == 1 else f"{run.label}: {name}"


class _Names:
    """Names of settings by what they differ in."""

    def __init__(self, measured: Sequence[Measurement | Fit]) -> None:
        found: dict[str, set[str]] = {}
        for each in measured:
            for name, value in each.setting.items():
                found.setdefault(name, set()).add(str(value))
        self._differing = [name for name, values in found.items() if len(values) > 1]

    def name(self, measured: Measurement | Fit) -> str:
        told = [_spelled(name, measured.setting.get(name)) for name in self._differing]
        return ", ".join([measured.name, *filter(None, told)])


def _spelled(name: str, value: object) -> str:
    """A choice as people say it: "cpu", "2 threads", "blocks of 64"."""
    if value is None:
        return ""
    if name in ("device", "precision"):
        return str(value)
    if name == "block":
        return f"blocks of {value}"
    if name == "advance":
        return f"advance {value}"
    one = {"queries": "query", "streams": "stream", "threads": "thread", "channels": "channel"}
    return f"{value} {one.get(name, name) if value == 1 else name}"


def verdict(measured: Measurement, run: Run) -> str:
    """Whether a setting keeps up here, in a few sentences."""
    paced, response, wakeups = measured.paced, measured.response, run.wakeups
    if paced is None or paced.deadline_us is None:
        return f"{measured.name} cannot be played live here with this setting."
    told = [
        f"Of {paced.n:,} blocks, one due every {duration(paced.deadline_us)}, "
        f"{_counted(paced.misses)} took longer than that to compute: the probability is below "
        f"{share(paced.miss_probability)}, with 95 % confidence."
    ]
    within = [(name, us) for name, us in paced.percentiles_us.items() if us is not None]
    if within:
        name, us = within[-1]
        told.append(f"{100 * PERCENTILES[name]:g} % of them took at most {duration(us)}.")
    if measured.held:
        told.append(f"Windows came late for {measured.held:,} hops, which held the masks before.")
    if response is not None and wakeups is not None:
        told.append(
            f"Counted from when they were due, {_counted(response.misses)} came late, "
            f"{share(response.misses / response.n)}; of empty hops, which is the machine alone, "
            f"{share(wakeups.misses / wakeups.n)}."
        )
    return " ".join(told)


def _counted(count: int) -> str:
    return {0: "none", 1: "one"}.get(count, f"{count:,}")


def notes(run: Run) -> Iterator[str]:
    """What there is to know about the machine before one believes the figures."""
    facts = run.environment
    busy, steal = facts.get("busy"), facts.get("steal")
    if busy is not None and steal is not None:
        yield (
            f"Meanwhile the cores were busy for {share(busy)} of the time, this run included, the "
            f"hypervisor took {share(steal)}; the load was {facts.get('load')} before and "
            f"{facts.get('load_after')} after."
        )
    for fit in run.fits:
        few = {0: "no stream", 1: "one stream"}
        yield (
            f"One core plays {few.get(fit.streams, f'{fit.streams} streams')} of "
            f"{fit_name(fit, run)} in time: the most for which {fit.percentile} of a block of all "
            f"of them is within the {duration(fit.deadline_us)} that it lasts."
        )


def absent(run: Run) -> list[str]:
    """What was asked for and could not be measured, and why."""
    return [f"Not measured: {choice}: {why}" for choice, why in (run.absent or {}).items()]


def times(found: Sequence[Entry], runs: Sequence[Run]) -> Grid:
    """Percentiles in microseconds, of each way of playing and of the empty hops."""
    rows = []
    for entry in found:
        measured = entry.measured
        ways = {
            "back to back": measured.back_to_back,
            "paced": measured.paced,
            "from when due": measured.response,
            "windows": measured.windows,
        }
        rows += [[entry.name, way, *_row(of)] for way, of in ways.items() if of is not None]
    for run in runs:
        if run.wakeups is not None:
            rows.append([_of(run, runs, "empty hops"), "wake-ups", *_row(run.wakeups)])
    headings = ("", "", "n", *PERCENTILES, "max", "lasts", "late")
    return Grid("µs a block", headings, rows, left=2)


def _row(statistics: Statistics) -> list[str]:
    deadline = statistics.deadline_us
    return [
        str(statistics.n),
        *(microseconds(value) for value in statistics.percentiles_us.values()),
        microseconds(statistics.max_us),
        microseconds(deadline),
        "-" if deadline is None else str(statistics.misses),
    ]


def costs(found: Sequence[Entry]) -> Grid:
    """All else that a setting costs, and what it gains."""
    rows = []
    for entry in found:
        measured, start = entry.measured, entry.measured.cold_start
        parts = (measured.parts_us or {}).get("paced", {})
        rtf = None if measured.paced is None else measured.paced.rtf
        started = (
            (start.imported_ms, start.loaded_ms, start.first_block_ms, start.memory_mb)
            if start
            else (None,) * 4
        )
        rows.append(
            [
                entry.name,
                f"{measured.latency_ms:.2f}",
                _figure(rtf, "{:.3f}"),
                microseconds(parts.get("network")),
                _figure(measured.cpu_share, "{:.1%}"),
                _figure(measured.si_sdri_db, "{:.2f}"),
                *(_figure(value, "{:.1f}") for value in started),
            ]
        )
    headings = ("", "latency ms", "RTF", "network µs", "CPU", "SI-SDRi dB", "import ms", "load ms")
    return Grid("Costs and gains", (*headings, "first block ms", "memory MB"), rows)


def taken_apart(found: Sequence[Entry]) -> list[Entry]:
    """Those whose blocks were taken apart into more than the network and the rest."""
    return [
        entry
        for entry in found
        if any(len(parts) > 2 for parts in (entry.measured.parts_us or {}).values())
    ]


def parts(entry: Entry) -> Grid:
    """Where the time of a block goes, in microseconds."""
    ways = entry.measured.parts_us or {}
    rows = [
        [part, *(f"{of[part]:.1f}, {of[part] / sum(of.values()):3.0%}" for of in ways.values())]
        for part in next(iter(ways.values()))
    ]
    return Grid(f"{entry.name}: where the time goes, µs", ("", *ways), rows)


def environment(run: Run) -> Grid:
    """The machine, as it was found."""
    rows = [
        [name.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value)]
        for name, value in run.environment.items()
        if value is not None
    ]
    return Grid("machine", ("", ""), rows, left=2)


def microseconds(value: float | None) -> str:
    """With one place after the point below 1000; a dash for what is too few to say."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def duration(us: float) -> str:
    """With its unit, in three digits."""
    return f"{us / 1000:.3g} ms" if us >= 1000 else f"{us:.3g} µs"


def share(of_one: float) -> str:
    """In per cent, in two digits."""
    return f"{100 * of_one:.2g} %" if of_one < 1 else "100 %"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
