"""The charts of a benchmark's page: what each shows, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ...benchmarks.results import Run
from . import charts, tables
from .charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Line, colour, legend
from .tables import Entry, duration


def figures(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    """HTML of all charts that there is something for, of at most `charts.SERIES` entries."""
    every = (_tails, _timeline, _trade, _fits, _parts, _warm_up, _budget, _cold_starts)
    return "".join(figure(found, runs) for figure in every)


def _figure(title: str, drawing: str, names: Sequence[tuple[str, str]], told: str) -> str:
    return (
        f"<figure><h3>{escape(title)}</h3>{drawing}{legend(names)}"
        f"<figcaption>{escape(told)}</figcaption></figure>"
    )


def _tails(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    """The share of blocks that take longer than so long, both on logarithmic scales."""
    lines = [
        Line(entry.name, of.tail, f"{colour(number)} {style}")
        for number, entry in enumerate(found)
        for style, of in (("", entry.measured.paced), ("dashed", entry.measured.back_to_back))
        if of is not None
    ]
    wakeups = [run.wakeups for run in runs if run.wakeups is not None]
    lines += [Line("empty hops", of.tail, "quiet") for of in wakeups]
    deadlines = _deadlines(found)
    x = _time_axis([us for line in lines for us, _ in line.points] + deadlines)
    least = min(share for line in lines for _, share in line.points)
    y = Axis(least, 1.0, HEIGHT - BOTTOM, TOP + 12, _one_in(least), log=True)
    names = [(entry.name, colour(number)) for number, entry in enumerate(found)]
    return _figure(
        "How long blocks take",
        charts.plot(
            "Share of blocks that take as long or longer",
            x,
            y,
            lines,
            ("time that a block takes", "share that takes longer"),
            (min(deadlines), "a block lasts") if deadlines else None,
        ),
        [*names, ("the machine: empty hops wake up late", "quiet")],
        "Paced as in live play; dashed: back to back. The further down a curve crosses the red "
        "line, the rarer are late blocks.",
    )


def _timeline(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    """The longest block of each stretch of the run, of each run's first setting."""
    firsts = [next((e for e in found if e.run is run), None) for run in runs]
    lines = []
    for run, entry in zip(runs, firsts, strict=True):
        if run.wakeups is not None:
            lines.append(Line("empty hops", run.wakeups.timeline, "quiet"))
        if entry is not None and entry.measured.paced is not None:
            lines.append(
                Line(entry.name, entry.measured.paced.timeline, colour(found.index(entry)))
            )
    points = [point for line in lines for point in line.points]
    if not points:
        return ""
    deadlines = _deadlines(found)
    longest = max(s for s, _ in points) or 1.0
    x = Axis(0, longest, LEFT, WIDTH - RIGHT, [(v, f"{v:g} s") for v in charts.rounds(longest)])
    times = [us for _, us in points] + deadlines
    flat = _time_axis(times)
    y = Axis(flat.low, flat.high, HEIGHT - BOTTOM, TOP + 12, flat.ticks, log=True)
    names = [(e.name, colour(found.index(e))) for e in firsts if e is not None]
    return _figure(
        "When it happened",
        charts.plot(
            "The longest block of each stretch of time",
            x,
            y,
            [piece for line in lines for piece in charts.unbroken(line)],
            ("since the first block", "longest block"),
            (min(deadlines), "a block lasts") if deadlines else None,
            upright=False,
        ),
        [*names, ("the machine: latest wake-up of an empty hop", "quiet")],
        "Settings take turns of half a second. Where the grey line rises with the other, the "
        "machine was busy with something else.",
    )


def _trade(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    """Quality beside speed; nothing where all settings have one quality."""
    known = [
        (number, entry, rtf, gain)
        for number, entry in enumerate(found)
        if (gain := entry.measured.si_sdri_db) is not None
        and entry.measured.paced is not None
        and (rtf := entry.measured.paced.rtf) is not None
    ]
    if len({gain for *_, gain in known}) < 2:
        return ""
    most = max(rtf for _, _, rtf, _ in known) * 1.15
    low, high = min(g for *_, g in known), max(g for *_, g in known)
    margin = max(0.1, 0.25 * (high - low))
    x = Axis(0, most, LEFT, WIDTH - RIGHT, [(v, f"{v:g}") for v in charts.rounds(most)])
    ticks = [low - margin + (high - low + 2 * margin) * step / 4 for step in range(5)]
    y = Axis(
        low - margin, high + margin, HEIGHT - BOTTOM, TOP + 12, [(v, f"{v:.2f}") for v in ticks]
    )
    dots = [Line(entry.name, [(rtf, gain)], colour(n)) for n, entry, rtf, gain in known]
    return _figure(
        "Quality beside speed",
        charts.scatter(
            "Quality beside speed",
            x,
            y,
            dots,
            ("median of a block, by what it lasts", "SI-SDRi, dB"),
        ),
        [(entry.name, colour(number)) for number, entry, *_ in known],
        "Mean of the mixtures that come with Soloist. Up is better, left is quicker.",
    )


def _budget(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    """From a sound to the same sound separated."""
    rows: dict[tuple[tuple[str, float], ...], tuple[str, list[tuple[str, float]]]] = {}
    for entry in found:
        ms = 1000 / entry.measured.sample_rate
        parts = [(part, ms * n) for part, n in entry.measured.latency.items() if n]
        rows.setdefault(tuple(parts), (entry.name, parts))
    return _stacked(
        "Where the delay comes from",
        list(rows.values()),
        "ms",
        "Without what the sound card and its driver add. What a block takes to compute adds "
        "nothing, as long as it is done in time.",
    )


def _parts(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    rows = [
        (f"{entry.name}, {way}", list(parts.items()))
        for entry in tables.taken_apart(found)
        for way, parts in (entry.measured.parts_us or {}).items()
    ]
    return _stacked(
        "Where the time of a block goes",
        rows,
        "µs",
        "Medians of each part, with a clock around it.",
    )


def _cold_starts(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    rows = {
        start: (
            entry.name,
            [
                ("libraries imported", start.imported_ms),
                ("model loaded", start.loaded_ms),
                ("first block", start.first_block_ms),
            ],
        )
        for entry in reversed(found)
        if (start := entry.measured.cold_start) is not None
    }
    return _stacked(
        "Cold start",
        list(rows.values())[::-1],
        "ms",
        "Medians of fresh processes, files in the system's cache.",
    )


def _fits(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    """The time that a block of so many streams takes."""
    fits = [(run, fit) for run in runs for fit in run.fits if fit.tried]
    if not fits:
        return ""
    lines = [
        Line(
            f"{tables.fit_name(fit, run, runs)}: {fit.streams} fit",
            [(n, us / 1000) for n, us in fit.tried],
            colour(number),
            marked=True,
        )
        for number, (run, fit) in enumerate(fits)
    ]
    limit = min(fit.deadline_us for _, fit in fits) / 1000
    most = max([6.0, *(n for line in lines for n, _ in line.points)])
    high = max([ms for line in lines for _, ms in line.points] + [limit]) * 1.05
    x = Axis(0, most, LEFT, WIDTH - RIGHT, [(v, f"{v:g}") for v in charts.rounds(most)])
    y = Axis(0, high, HEIGHT - BOTTOM, TOP + 12, [(v, f"{v:g} ms") for v in charts.rounds(high)])
    percentile = fits[0][1].percentile
    return _figure(
        "How many streams fit",
        charts.plot(
            "Time of a block of so many streams",
            x,
            y,
            lines,
            ("streams on one core", f"{percentile} of a block of all"),
            (limit, "a block lasts"),
            upright=False,
        ),
        [(line.name, line.style) for line in lines],
        "Each with a session and words of its own, one after the other.",
    )


def _warm_up(found: Sequence[Entry], runs: Sequence[Run]) -> str:
    lines = [
        Line(entry.name, list(enumerate(entry.measured.warm_up_us, start=1)), colour(number))
        for number, entry in enumerate(found)
        if entry.measured.warm_up_us
    ]
    if not lines:
        return ""
    most = max(n for line in lines for n, _ in line.points)
    x = Axis(1, max(most, 2), LEFT, WIDTH - RIGHT, [(v, f"{v:g}") for v in charts.rounds(most)[1:]])
    flat = _time_axis([us for line in lines for _, us in line.points])
    y = Axis(flat.low, flat.high, HEIGHT - BOTTOM, TOP + 12, flat.ticks, log=True)
    return _figure(
        "Warm-up",
        charts.plot("The first blocks", x, y, lines, ("block after loading", "time it takes")),
        [(line.name, line.style) for line in lines],
        "These blocks are in none of the other figures; live play has them behind it, too.",
    )


def _stacked(
    title: str, rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], unit: str, told: str
) -> str:
    if not rows:
        return ""
    parts = list(dict.fromkeys(part for _, sizes in rows for part, _ in sizes))
    style = {part: f"c{number}" for number, part in enumerate(parts)}
    styled = [(name, [(part, size, style[part]) for part, size in sizes]) for name, sizes in rows]
    return _figure(title, charts.bars(title, styled, unit), list(style.items()), told)


def _deadlines(found: Sequence[Entry]) -> list[float]:
    every = [entry.measured.paced for entry in found]
    return [of.deadline_us for of in every if of is not None and of.deadline_us is not None]


def _time_axis(times_us: Sequence[float]) -> Axis:
    low, high = max(1.0, min(times_us) * 0.8), max(times_us) * 1.25
    ticks = [(us, duration(us)) for us in charts.decades(low, high)]
    return Axis(low, high, LEFT, WIDTH - RIGHT, ticks, log=True)


def _one_in(least: float) -> list[tuple[float, str]]:
    """Shares down to the least one, as people say them."""
    tens = [10**power for power in range(12) if 10**-power >= least * 0.999]
    return [(1 / ten, f"1 in {ten:,}" if ten > 1 else "all") for ten in tens]
