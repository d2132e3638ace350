import json
from collections.abc import Callable
from typing import Any

import pytest

from soloist.benchmarks.windows import delays, main

Toys = Callable[..., Any]


def test_delays_are_the_schedules(windowed_toy: Toys) -> None:
    """Hops of 1 ms; a window that takes 6 ms needs 6 of them, and cannot come every 5."""
    short, own, long = delays(windowed_toy().bundle, [5, 6, 18], 0.006)
    assert (short["core"], short["latency_ms"], short["every_ms"]) == (None, None, 5.0)
    # Twice the advance, cross-fade 2, look-ahead 2, one ahead, 3 of overlap.
    assert own["latency_ms"] == own["tight_ms"] == pytest.approx(2 * 6 + 2 + 2 - 1 + 3)
    assert long["latency_ms"] - long["tight_ms"] == pytest.approx(18 - 6)
    assert (own["core"], long["core"]) == (pytest.approx(1.0), pytest.approx(1 / 3))


def test_prints_json_and_a_table(windowed_toy: Toys, capsys: pytest.CaptureFixture[str]) -> None:
    # An advance long enough for a busy machine.
    model = str(windowed_toy(samples=8000, emitted=400, advance=200).path)
    arguments = [model, "--runs", "2", "--seconds", "0.1", "--advances", "200,300"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["advance"] for row in found["advances"]] == [200, 300]
    assert 0 < found["window_s"]["p50"] <= found["window_s"]["max"]
    assert found["alone_us"]["p50"] > 0
    assert main(arguments) == 0
    assert "beside windows being made" in capsys.readouterr().out


def test_one_clear_line_for_a_model_without_windows(
    toy_bundle: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(toy_bundle().path)]) == 2
    captured = capsys.readouterr()
    assert "is streaming, it has no windows" in captured.err
    assert captured.err.count("\n") == 1 and not captured.out
