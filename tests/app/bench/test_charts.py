"""Charts put values where their axes say."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soloist.app.bench.charts import WIDTH, Axis, Line, bars, decades, plot, rounds, unbroken

X = Axis(0, 10, 50, 450, [(0, "0"), (10, "10")])
Y = Axis(1, 10_000, 260, 20, [(10, "10")], log=True)


def shapes(svg: str, tag: str, style: str) -> list[dict[str, str]]:
    found = ElementTree.fromstring(svg).iter(tag)
    return [dict(each.attrib) for each in found if style in each.get("class", "").split()]


def test_a_line_goes_through_its_points() -> None:
    svg = plot("a", X, Y, [Line("one", [(0, 1), (5, 100), (10, 10_000)], "c3", True)], ("x", "y"))
    (line,) = shapes(svg, "polyline", "c3")
    assert line["points"] == "50.0,260.0 250.0,140.0 450.0,20.0"
    assert len(shapes(svg, "circle", "c3")) == 3


def test_values_beyond_an_axis_are_at_its_end() -> None:
    assert (X.at(-5), X.at(15), Y.at(0.0)) == (50, 450, 260)


def test_a_limit_stands_at_its_value() -> None:
    (upright,) = shapes(plot("a", X, Y, [], ("x", "y"), (2.5, "late")), "line", "limit")
    assert {upright["x1"], upright["x2"]} == {"150.0"}
    (level,) = shapes(
        plot("a", X, Y, [], ("x", "y"), (100, "late"), upright=False), "line", "limit"
    )
    assert {level["y1"], level["y2"]} == {"140.0"}


def test_bars_are_as_long_as_their_parts() -> None:
    svg = bars(
        "a", [("one", [("a", 3.0, "c0"), ("b", 1.0, "c1")]), ("two", [("a", 2.0, "c0")])], "s"
    )
    first, second = (float(each["width"]) for each in shapes(svg, "rect", "c0"))
    (third,) = (float(each["width"]) for each in shapes(svg, "rect", "c1"))
    assert first == pytest.approx(3 * third, abs=0.1) and second == pytest.approx(
        2 * third, abs=0.1
    )
    starts = [float(each["x"]) for each in shapes(svg, "rect", "bar")]
    assert starts[1] == pytest.approx(starts[0] + first, abs=0.1)
    assert max(starts) + third < WIDTH


def test_gaps_are_left_open() -> None:
    points = [(0.0, 1.0), (0.1, 1.0), (0.2, 1.0), (5.0, 1.0), (5.1, 1.0)]
    pieces = unbroken(Line("one", points, "c0"))
    assert [piece.points for piece in pieces] == [points[:3], points[3:]]
    assert [piece.points for piece in unbroken(Line("one", [], "c0"))] == [[]]


@given(st.floats(1e-3, 1e9))
def test_round_numbers_are_few_and_end_below(high: float) -> None:
    found = rounds(high)
    assert found[0] == 0 and found[-1] <= high * (1 + 1e-9)
    assert 2 <= len(found) <= 7
    step = found[1]
    assert step / 10 ** math.floor(math.log10(step) + 1e-9) == pytest.approx(1) or (
        step / 10 ** math.floor(math.log10(step)) in (pytest.approx(2), pytest.approx(5))
    )
    assert found == pytest.approx([step * number for number in range(len(found))])


@given(st.floats(1e-4, 1e4), st.floats(2, 1e8))
def test_decades_are_between_their_ends(low: float, times: float) -> None:
    found = decades(low, low * times)
    assert all(low * 0.999 <= value <= low * times * 1.001 for value in found)
    assert found == sorted(found)
    if times >= 300:
        assert len(found) >= 2
        assert all(b / a == pytest.approx(10) for a, b in pairwise(found))
