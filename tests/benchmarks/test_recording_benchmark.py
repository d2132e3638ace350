import json
from typing import Any

import pytest

from soloist.benchmarks import recording
from soloist.streaming.live.plan import LivePlan


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that take twice as long where they are recorded."""

    def play(plan: LivePlan, where: str, busy: bool, seconds: float) -> dict[str, float]:
        assert (where, busy) == ("its own", False)
        took = 0.5 if plan.recording is None else 1.0
        return {"blocks": 100, "late": 1, "xruns": 0, "p50, ms": took, "p99, ms": took}

    monkeypatch.setattr(recording, "play", play)


def test_plays_both_ways_in_turns(sound: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert recording.main(["--rounds", "2", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [(row["records"], row["p50, ms"], row["blocks"]) for row in found["rows"]] == [
        ("no", 0.5, 200),
        ("yes", 1.0, 200),
    ]
    assert 0 < found["put, us"]["p50"] <= found["put, us"]["p99"]


def test_prints_a_row_for_each_way(sound: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert recording.main(["--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[3].split()) == "yes 100 1.00 % 0 1.000 ms 1.000 ms"
    assert len(lines) == 5
