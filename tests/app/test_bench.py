"""`soloist bench`: the benchmarks' figures, for models of both kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def test_figures_of_a_streaming_model(soloist: Run, toy: str) -> None:
    run = soloist("bench", toy, "--seconds", "0.2", "--queries", "1,3", "--json")
    assert run.code == 0
    report = json.loads(run.out)
    paced = [row for row in report["figures"] if row["paced"]]
    assert [row["queries"] for row in paced] == [1, 3]
    assert paced[0]["hops"] == 75  # 0.2 s of 128 samples at 48 kHz
    assert report["environment"]["onnxruntime"]


def test_figures_of_a_windowed_model(soloist: Run, windowed_toy: Callable[..., Any]) -> None:
    model = str(windowed_toy().path)
    run = soloist("bench", model, "--seconds", "0.2", "--advances", "5,9", "--json")
    assert run.code == 0
    assert [row["advance"] for row in json.loads(run.out)["advances"]] == [5, 9]


def test_several_models_one_after_the_other(
    soloist: Run, toy: str, windowed_toy: Callable[..., Any]
) -> None:
    run = soloist("bench", toy, str(windowed_toy().path), "--seconds", "0.1")
    assert run.code == 0
    assert "where the time goes" in run.out
    assert "beside windows being made" in run.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no such.onnx"], "no model 'no such.onnx'"),
        (["--queries", "1,,2"], "found '1,,2', expected numbers such as 1,2,4"),
        (["solo", "solo", "--json"], "--json takes one model at a time, found 2"),
        (["--device", "abacus", "--seconds", "0.1"], "unknown device 'abacus'"),
    ],
)
def test_refusals_are_one_line(soloist: Run, arguments: list[str], said: str) -> None:
    run = soloist("bench", *arguments)
    assert run.code == 2
    assert said in run.err
    assert run.out == ""
