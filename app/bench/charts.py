"""Charts as inline SVG, whose colours are those of the page that they stand in.

Elements carry classes instead of colours: `c0`, `c1`, ... for series, `quiet` for what is there to
compare with, `limit` for what must not be crossed; `assets/bench.html` says how each looks in light
and in dark. Written by hand: matplotlib's SVG knows one of the two, and is a large install.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import median

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 80, 24, 12, 42
SERIES = 8
"""How many series have a colour of their own."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` as pixels from `start` to `end`, with labels at `ticks`."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value, which is taken for the nearest one that the axis has."""
        value = min(max(value, self.low), self.high)
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


@dataclass(frozen=True)
class Line:
    """A series of a chart, of `points` in the units of its axes; `style` are classes.

    `marked`: with a dot at each point.
    """

    name: str
    points: Points
    style: str
    marked: bool = False


def decades(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`: 1, 10, ..., with 2 and 5 between them where few are."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    every = [step * 10.0**exponent for exponent in exponents for step in steps]
    return [value for value in every if low * 0.999 <= value <= high * 1.001]


def rounds(high: float, most: int = 6) -> list[float]:
    """Round numbers from 0 to `high`, at most so many and the 0."""
    step = 10.0 ** math.floor(math.log10(high / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if high / (step * factor) <= most)
    return [step * number for number in range(math.floor(high / step + 1e-9) + 1)]


def plot(
    title: str,
    x: Axis,
    y: Axis,
    lines: Sequence[Line],
    labels: tuple[str, str],
    limit: tuple[float, str] | None = None,
    upright: bool = True,
) -> str:
    """Lines over two axes; `limit` is a value on the first (`upright`) or second, and its name."""
    drawn = [_grid(x, y), _labels(x, y, labels)]
    for line in lines:
        path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in line.points)
        drawn.append(f'<polyline class="line {line.style}" points="{path}"/>')
        drawn += _dots(x, y, line) if line.marked else []
    if limit is not None:
        drawn.append(_limit(x, y, *limit, upright))
    return _svg(title, HEIGHT, drawn)


def unbroken(line: Line) -> list[Line]:
    """The same in pieces, without the way over gaps four times as wide as its points are apart."""
    steps = [after[0] - before[0] for before, after in pairwise(line.points)]
    usual = median(steps) if steps else 0.0
    pieces = [[*line.points[:1]]]
    for point, step in zip(line.points[1:], steps, strict=True):
        if step > 4 * usual:
            pieces.append([])
        pieces[-1].append(point)
    return [Line(line.name, piece, line.style) for piece in pieces]


def scatter(title: str, x: Axis, y: Axis, dots: Sequence[Line], labels: tuple[str, str]) -> str:
    """Dots, with their names beside them where the pointer rests."""
    drawn = [_grid(x, y), _labels(x, y, labels)]
    return _svg(title, HEIGHT, [*drawn, *(each for dot in dots for each in _dots(x, y, dot))])


def bars(
    title: str, rows: Sequence[tuple[str, Sequence[tuple[str, float, str]]]], unit: str
) -> str:
    """Stacked bars, a row each: its name, and parts by name, size and style."""
    high = max(sum(size for _, size, _ in parts) for _, parts in rows)
    left, row_height, top = 14, 50, 8
    end = top + row_height * len(rows)
    x = Axis(0, high * 1.04, left, WIDTH - 60, [(v, f"{v:g}") for v in rounds(high)])
    drawn = []
    for value, label in x.ticks:
        at = x.at(value)
        drawn.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{end}"/>')
        drawn.append(f'<text x="{at:.1f}" y="{end + 16}" class="middle">{label}</text>')
    drawn.append(f'<text x="{WIDTH - 8}" y="{end + 16}" class="end">{escape(unit)}</text>')
    for number, (name, parts) in enumerate(rows):
        base, begin = top + row_height * number, 0.0
        drawn.append(f'<text x="{left}" y="{base + 14}" class="name">{escape(_short(name))}</text>')
        for part, size, style in parts:
            width = x.at(begin + size) - x.at(begin)
            drawn.append(
                f'<rect class="bar {style}" x="{x.at(begin):.1f}" y="{base + 20}" '
                f'width="{max(width, 0.5):.1f}" height="20"><title>{escape(part)}: {rounded(size)} '
                f"{escape(unit)}</title></rect>"
            )
            begin += size
        drawn.append(
            f'<text x="{x.at(begin) + 6:.1f}" y="{base + 35}" class="sum">{rounded(begin)}</text>'
        )
    return _svg(title, end + 24, drawn)


def rounded(value: float) -> str:
    """In three digits, or as many as it has before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def legend(names: Sequence[tuple[str, str]]) -> str:
    """Names with the colour of their style before them, in HTML below a chart."""
    items = "".join(
        f'<li><span class="swatch {style}"></span>{escape(name)}</li>' for name, style in names
    )
    return f'<ul class="legend">{items}</ul>'


def colour(number: int) -> str:
    """The style of the series of this number."""
    return f"c{number % SERIES}"


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(drawn)}</svg>"
    )


def _grid(x: Axis, y: Axis) -> str:
    upright = "".join(
        f'<line class="grid" x1="{x.at(v):.1f}" x2="{x.at(v):.1f}" y1="{y.start}" y2="{y.end}"/>'
        for v, _ in x.ticks
    )
    level = "".join(
        f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{y.at(v):.1f}" y2="{y.at(v):.1f}"/>'
        for v, _ in y.ticks
    )
    return upright + level


def _dots(x: Axis, y: Axis, line: Line) -> list[str]:
    return [
        f'<circle class="dot {line.style}" cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="5">'
        f"<title>{escape(line.name)}</title></circle>"
        for a, b in line.points
    ]


def _labels(x: Axis, y: Axis, labels: tuple[str, str]) -> str:
    below = "".join(
        f'<text class="middle" x="{x.at(v):.1f}" y="{y.start + 16}">{escape(text)}</text>'
        for v, text in x.ticks
    )
    beside = "".join(
        f'<text class="end" x="{x.start - 6}" y="{y.at(v) + 4:.1f}">{escape(text)}</text>'
        for v, text in y.ticks
    )
    middle = (x.start + x.end) / 2
    return (
        f"{below}{beside}"
        f'<text class="middle label" x="{middle}" y="{HEIGHT - 6}">{escape(labels[0])}</text>'
        f'<text class="label" x="2" y="10">{escape(labels[1])}</text>'
    )


def _limit(x: Axis, y: Axis, value: float, name: str, upright: bool) -> str:
    if upright:
        at = x.at(value)
        return (
            f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{y.start}" y2="{y.end}"/>'
            f'<text class="limit end" x="{at - 5:.1f}" y="{y.start - 8}">{escape(name)}</text>'
        )
    at = y.at(value)
    return (
        f'<line class="limit" x1="{x.start}" x2="{x.end}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="limit end" x="{x.end - 4}" y="{at - 5:.1f}">{escape(name)}</text>'
    )


def _short(name: str, most: int = 56) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
