"""Keys, the parameters that they change, and what the engine makes of these."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import pytest

from soloist.app.live.desk import Desk
from soloist.streaming.live.plan import LivePlan

Sent = list[Mapping[str, float]]


def desk(mode: Literal["keep", "remove"] = "keep", **state: float) -> tuple[Desk, Sent]:
    sent: Sent = []
    values = {key.replace("_", "."): value for key, value in state.items()}
    return Desk(["dog", "rain"], LivePlan("solo", mode=mode, state=values), sent.append), sent


def press(desk: Desk, *keys: str) -> None:
    for key in keys:
        desk.press(key)


def test_it_begins_as_the_plan_says() -> None:
    kept, _ = desk("keep", stem1_gain=3.0)
    assert [(strip.name, strip.gain) for strip in kept.strips] == [
        ("dog", "3.0 dB"),
        ("rain", "0.0 dB"),
        ("the rest", "-inf dB"),
    ]
    assert [strip.heard for strip in kept.strips] == [True, True, False]
    removed, _ = desk("remove", residual_gain=-6.0)
    assert [strip.gain for strip in removed.strips] == ["-inf dB", "-inf dB", "-6.0 dB"]


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        (["b", "B"], [{"bypass": 1.0}, {"bypass": 0.0}]),
        (["m", "2", "m", "m"], [{"stem1.mute": 1.0}, {"stem2.mute": 1.0}, {"stem2.mute": 0.0}]),
        (["3", "s"], [{"residual.solo": 1.0}]),
        (["+", "right", "-"], [{"stem1.gain": 1.0}, {"stem1.gain": 2.0}, {"stem1.gain": 1.0}]),
        (["3", "+", "left"], [{"residual.gain": -40.0}, {"residual.gain": -80.0}]),
        (["down", "tab", "0"], [{"residual.gain": 0.0}]),
        (["up", "shift-tab", "="], [{"stem2.gain": 1.0}]),
        (["9", "x", "escape", "", "4"], []),
    ],
    ids=str,
)
def test_keys_turn_parameters(keys: list[str], sent: list[dict[str, float]]) -> None:
    it, found = desk()
    press(it, *keys)
    assert found == sent
    for parameter in {key for change in sent for key in change}:
        last = [change[parameter] for change in sent if parameter in change][-1]
        assert it.state[parameter] == last


def test_gains_stay_in_their_range() -> None:
    it, sent = desk()
    press(it, *["+"] * 14)
    assert sent[-1] == {"stem1.gain": 12.0}
    press(it, *["-"] * 60)
    assert sent[-1] == {"stem1.gain": -80.0}
    assert it.strips[0].gain == "-inf dB"


def test_levels_as_options_that_would_be_heard_alike() -> None:
    """Mute is a gain of nothing; bypass and solo are for listening in between."""
    it, _ = desk(residual_gain=-6.0)
    turned = []
    for keys in (["2", "b", "s"], ["+", "3", "m"], ["m", "2", "-"]):
        press(it, *keys)
        turned.append((it.turned, it.levels))
    assert turned == [
        (False, {"gain": [0.0, 0.0], "rest": -6.0}),
        (True, {"gain": [0.0, 1.0], "rest": -math.inf}),
        (False, {"gain": [0.0, 0.0], "rest": -6.0}),
    ]


def test_what_is_heard() -> None:
    it, _ = desk(residual_gain=-6.0)
    assert [strip.heard for strip in it.strips] == [True, True, True]
    press(it, "2", "s")
    assert [strip.heard for strip in it.strips] == [False, True, False]
    press(it, "m")
    assert not any(strip.heard for strip in it.strips)
    press(it, "m", "s", "b")
    assert not any(strip.heard for strip in it.strips)  # the input is
