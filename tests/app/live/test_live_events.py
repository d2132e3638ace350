"""Events for programs, on a process that plays nothing; `test_jack_terminal` has them from one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from soloist.app.live import events as module
from soloist.app.live.events import EventLines
from soloist.runtime.errors import DeviceError
from soloist.streaming.counters import Counters
from soloist.streaming.latency import Latency
from soloist.streaming.live.budget import LatencyBudget
from soloist.streaming.live.levels import Level, Levels
from soloist.streaming.live.meters import MeterBoard
from soloist.streaming.live.recorder import Recorded
from soloist.streaming.live.report import Report, Wiring

SCHEMA = Path(__file__).parents[3] / "docs" / "live-events.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))


def report(peak: float = 0.5, **changes: Any) -> Report:
    level = Level(peak, peak / 2, 3)
    return replace(
        Report(
            "running",
            Wiring("mic", "desk", 1, 2, 44100, 48000, "cpu"),
            LatencyBudget(Latency(44100, (("overlap", 128),)), 64, None, 100),
            MeterBoard(44100).read(),
            Counters(late=2),
            Levels(level, Level(), (level, Level(), level)),
        ),
        **changes,
    )


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    return events


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> EventLines:
    """Gives figures each time."""
    monkeypatch.setattr(module, "_FIGURES_S", 0.0)
    return EventLines("solo", "remove", ["dog", "rain"], ["bird"])


def test_the_start(view: EventLines, capsys: pytest.CaptureFixture[str]) -> None:
    view.start(report(recording=Recorded("takes/now", 0, 0)))
    (event,) = told(capsys)
    assert (event["event"], event["mode"], event["queries"]) == (
        "started",
        "remove",
        ["dog", "rain"],
    )
    assert event["negatives"] == ["bird"]
    assert event["output"] == {"device": "desk", "channels": 2}
    assert event["latency"] == {
        "sample_rate": 44100,
        "parts": {"block collected": 64, "overlap": 128, "driver out": 100},
        "samples": 292,
        "ms": 6.621,
        "unknown": ["driver in"],
    }
    assert event["folder"] == "takes/now"


def test_figures(view: EventLines, capsys: pytest.CaptureFixture[str]) -> None:
    view.start(report())
    view.show(report())
    _, event = told(capsys)
    assert event["levels"]["input"]["peak"] == pytest.approx(-6.02, abs=0.01)
    assert event["levels"]["input"]["rms"] == pytest.approx(-12.04, abs=0.01)
    assert event["levels"]["input"]["clips"] == 3
    silent = {"peak": None, "rms": None, "clips": 0}
    assert event["levels"]["output"] == event["levels"]["stems"][1] == silent
    assert event["levels"]["rest"] == event["levels"]["stems"][0]
    assert event["hops"]["late"] == 2
    assert event["heard"] is None
    view.show(report(heard=(("rain", 0.5), ("dog", 0.25))))
    (event,) = told(capsys)
    assert event["heard"] == [
        {"sound": "rain", "presence": 0.5},
        {"sound": "dog", "presence": 0.25},
    ]


def test_a_peak_between_figures_is_in_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    view = EventLines("solo", "keep", ["dog", "rain"], [])
    monkeypatch.setattr(module, "_FIGURES_S", 99.0)
    view.start(report())
    view.show(report(1.0))
    view.show(report(0.25))
    view._due = 0.0
    view.show(report(0.25))
    view._due = 0.0
    view.show(report(0.25))
    first, second = told(capsys)[1:]
    assert first["levels"]["input"]["peak"] == 0.0
    assert second["levels"]["input"]["peak"] == pytest.approx(-12.04, abs=0.01)


def test_what_happens(view: EventLines, capsys: pytest.CaptureFixture[str]) -> None:
    view.tell("latency-changed", "other blocks", report())
    view.tell("device-lost", "gone")
    view.tell("audio-back", "there", report())
    view.tell("recording-ended", "full")
    view.finish(report(fault="E: no"), 1)
    view.finish(None, 3)
    events = told(capsys)
    assert [event["event"] for event in events] == [
        *("latency-changed", "device-lost", "audio-back", "recording-ended", "ended", "ended")
    ]
    assert events[4]["text"] == "E: no" and events[4]["exit_code"] == 1
    assert events[5] == {"event": "ended", "time": events[5]["time"], "exit_code": 3, "text": None}


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DeviceError("the desk is busy"), 2, "the desk is busy"),
        (KeyboardInterrupt(), 130, "KeyboardInterrupt"),
        (RuntimeError("cheese"), 1, "cheese"),
    ],
)
def test_an_end_that_nobody_asked_for(
    view: EventLines,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    text: str,
) -> None:
    with pytest.raises(type(error)), view:
        raise error
    (event,) = told(capsys)
    assert (event["event"], event["exit_code"], event["text"]) == ("ended", code, text)
