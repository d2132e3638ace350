"""A level meter for the terminal: how it moves, and how it looks.

It rises at once and falls by 20 dB in 1.7 s, as IEC 60268-10 has it for peak meters; what was
highest stays marked for a while, and what was beyond full scale a little longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.text import Text

from ...streaming.live.levels import Level, decibels

FLOOR_DB = -60.0
HOLD_S = 2.0
CLIP_S = 3.0
FALL_DB_PER_S = 20.0 / 1.7

_MARKS_DB = (0, -6, -12, -18, -24, -36, -48, -60)
# Where a colour ends, and the two of it for the mean and for the peak above it: all of them among
# the 256 of terminals that have no more.
_ZONES = (
    (-12.0, "#5faf5f", "#005f00"),
    (-3.0, "#d7af5f", "#875f00"),
    (math.inf, "#d75f5f", "#870000"),
)
_UNHEARD = "#8a8a8a", "#4e4e4e"


@dataclass(frozen=True)
class Shown:
    """What a meter shows, in dBFS; -inf is silence. `clipped`: lately at full scale or beyond."""

    peak: float = -math.inf
    rms: float = -math.inf
    hold: float = -math.inf
    clipped: bool = False


class Meter:
    """Follows a level; times are in seconds of one clock."""

    def __init__(self) -> None:
        self._shown = Shown()
        self._time = self._held = 0.0
        self._clips, self._clipped = 0, -math.inf

    def follow(self, level: Level, now: float) -> Shown:
        """What to show now."""
        fall = FALL_DB_PER_S * max(0.0, now - self._time)
        self._time = now
        peak = max(decibels(level.peak), self._shown.peak - fall)
        hold = self._shown.hold
        if peak >= hold:
            hold, self._held = peak, now
        elif now - self._held > HOLD_S:
            hold = max(peak, hold - fall)
        if level.clips != self._clips:  # fewer after the devices were lost
            self._clipped = now if level.clips else -math.inf
            self._clips = level.clips
        clipped = now - self._clipped <= CLIP_S
        self._shown = Shown(_audible(peak), decibels(level.rms), _audible(hold), clipped)
        return self._shown


@dataclass(frozen=True)
class Glyphs:
    """What bars are made of: the mean, the peak above it, the peak that is held, nothing."""

    mean: str
    peak: str
    hold: str
    empty: str


COLOURED = Glyphs("■", "■", "│", "·")
COLOURLESS = Glyphs("■", "□", "│", "·")
ASCII = Glyphs("#", "=", "|", ".")


def bar(shown: Shown, width: int, glyphs: Glyphs, *, heard: bool = True) -> Text:
    """`width` cells from -60 to 0 dBFS: the mean, the peak above it, the peak that is held."""
    mean, peak = round(_cells(shown.rms, width)), round(_cells(shown.peak, width))
    held = min(int(_cells(shown.hold, width)), width - 1) if shown.hold > FLOOR_DB else -1
    runs: list[tuple[str, str]] = []  # of cells that look alike
    for cell in range(width):
        bright, dim = _colours(cell, width) if heard else _UNHEARD
        if cell == held and cell >= peak:
            glyph, style = glyphs.hold, bright
        elif cell < min(mean, peak):
            glyph, style = glyphs.mean, bright
        elif cell < peak:
            glyph, style = glyphs.peak, dim
        else:
            glyph, style = glyphs.empty, "dim"
        if runs and runs[-1][1] == style:
            runs[-1] = runs[-1][0] + glyph, style
        else:
            runs.append((glyph, style))
    return Text.assemble(*runs)


def scale(width: int) -> Text:
    """The marks of a bar, as many as there is room for, each number's end at its level."""
    line = [" "] * (width + 1)
    free = width + 1
    for mark in _MARKS_DB:
        label = str(mark)
        end = min(width + 1, max(len(label), math.ceil(_cells(mark, width)) + 1))
        start = end - len(label)
        if end <= free and start >= 0:
            line[start:end] = label
            free = start - 1
    return Text("".join(line), "dim")


def number(shown: Shown) -> Text:
    """The held peak in dBFS, six cells wide."""
    if shown.clipped:
        return Text("  CLIP", "bold #d75f5f")
    text = f"{shown.hold:6.1f}" if math.isfinite(shown.hold) else "  -inf"
    return Text(text, "" if math.isfinite(shown.hold) else "dim")


def _audible(level: float) -> float:
    return level if level > FLOOR_DB else -math.inf


def _cells(level: float, width: int) -> float:
    return width * min(max(1.0 - level / FLOOR_DB, 0.0), 1.0)


def _colours(cell: int, width: int) -> tuple[str, str]:
    level = FLOOR_DB * (1.0 - (cell + 0.5) / width)
    return next((bright, dim) for end, bright, dim in _ZONES if level < end)
