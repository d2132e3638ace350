"""How a meter moves and looks, against levels worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soloist.app.live.level_bars import (
    ASCII,
    COLOURED,
    COLOURLESS,
    Meter,
    Shown,
    bar,
    number,
    scale,
)
from soloist.streaming.live.levels import Level

SILENCE = -math.inf


def db(level: float) -> float:
    return float(10.0 ** (level / 20.0))


def loud(level: float, clips: int = 0) -> Level:
    return Level(db(level), db(level - 3), clips)


def test_it_rises_at_once_and_falls_by_20_decibels_in_1_7_seconds() -> None:
    meter = Meter()
    assert meter.follow(loud(-6.0), 10.0).peak == pytest.approx(-6.0)
    assert meter.follow(Level(), 10.85).peak == pytest.approx(-16.0)
    shown = meter.follow(Level(), 11.7)
    assert shown.peak == pytest.approx(-26.0)
    assert shown.rms == SILENCE
    assert meter.follow(loud(-20.0), 11.8).peak == pytest.approx(-20.0)
    assert meter.follow(Level(), 99.0).peak == SILENCE


def test_the_mark_is_held_for_two_seconds_and_falls_then() -> None:
    meter = Meter()
    meter.follow(loud(-6.0), 0.0)
    held = [meter.follow(loud(-30.0), 0.1 * tick).hold for tick in range(1, 21)]
    assert held == pytest.approx([-6.0] * 20)
    assert meter.follow(loud(-30.0), 2.17).hold == pytest.approx(-8.0)
    assert meter.follow(loud(-30.0), 2.34).hold == pytest.approx(-10.0)
    assert meter.follow(loud(-3.0), 2.4).hold == pytest.approx(-3.0)  # a higher one begins anew
    assert meter.follow(loud(-30.0), 4.3).hold == pytest.approx(-3.0)


def test_a_clip_is_shown_for_three_seconds_from_the_last_one() -> None:
    meter = Meter()
    assert not meter.follow(loud(0.0), 0.0).clipped
    assert meter.follow(loud(0.0, clips=2), 1.0).clipped
    assert meter.follow(loud(-9.0, clips=2), 2.0).clipped
    assert meter.follow(loud(0.0, clips=3), 3.0).clipped
    assert meter.follow(loud(-9.0, clips=3), 6.0).clipped
    assert not meter.follow(loud(-9.0, clips=3), 6.1).clipped
    assert not meter.follow(loud(-9.0, clips=0), 6.2).clipped  # counted anew after a loss


def test_a_bar_of_a_cell_a_decibel() -> None:
    shown = Shown(peak=-10.0, rms=-20.0, hold=-5.0)
    assert bar(shown, 60, COLOURED).plain == "■" * 50 + "·" * 5 + "│" + "·" * 4
    assert bar(shown, 60, COLOURLESS).plain == "■" * 40 + "□" * 10 + "·" * 5 + "│" + "·" * 4
    assert bar(shown, 60, ASCII).plain == "#" * 40 + "=" * 10 + "." * 5 + "|" + "." * 4
    assert bar(Shown(), 60, ASCII).plain == "." * 60
    assert bar(Shown(3.0, 1.0, 6.0, True), 60, ASCII).plain == "#" * 60


def test_colours_are_those_of_the_levels() -> None:
    """Of a cell a decibel: green up to -12, yellow up to -3, red above; grey if it is not heard."""
    full = Shown(0.0, 0.0, 0.0)
    spans = [(span.start, span.end) for span in bar(full, 60, COLOURED).spans]
    assert spans == [(0, 48), (48, 57), (57, 60)]
    assert len(bar(full, 60, COLOURED, heard=False).spans) == 1
    half = Shown(0.0, -30.0, 0.0)
    assert len(bar(half, 60, COLOURED).spans) == 4  # the mean's green and the peak's three


@given(st.integers(1, 200), *[st.floats(-90, 20)] * 3)
def test_a_bar_has_its_width(width: int, peak: float, rms: float, hold: float) -> None:
    assert bar(Shown(peak, rms, hold), width, COLOURED).cell_len == width


@given(st.integers(4, 200))
def test_each_mark_ends_at_its_level(width: int) -> None:
    line = scale(width).plain
    assert line.endswith("0") and len(line) == width + 1
    for text in line.split():
        end = line.index(f"{text} ") + len(text) if text != "0" else width + 1
        at = width * (1 + int(text) / 60)
        assert at <= end <= max(len(text), at + 2)
    assert len(line.split()) >= min(8, 1 + width // 8)


def test_numbers() -> None:
    assert number(Shown(hold=-12.34)).plain == " -12.3"
    assert number(Shown()).plain == "  -inf"
    assert number(Shown(hold=-0.1, clipped=True)).plain == "  CLIP"
