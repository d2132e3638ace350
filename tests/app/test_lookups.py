"""`soloist info` and `soloist queries`: what a model is and what it knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_info_for_people(soloist: Run, toy: str) -> None:
    result = soloist("info", toy)
    assert result.code == 0 and result.err == ""
    for expected in ("toy 1", "48000 Hz", "5.33 ms (256 samples)", "cpu", "max_abs", "# Toy"):
        assert expected in result.out
    assert soloist("info", "--model", toy).out == result.out


def test_info_of_a_model_that_listens(soloist: Run, toy_bundle: Callable[..., Any]) -> None:
    listening = soloist("info", str(toy_bundle(listens=True).path))
    assert "for 8 sounds, 0.17 s every 0.05 s" in listening.out


def test_info_as_json(soloist: Run, toy: str) -> None:
    facts = json.loads(soloist("info", toy, "--json", "--device", "cpu").out)
    assert facts["latency_samples"] == 256
    assert facts["provider"] == "cpu"
    assert facts["queries"][0]["name"] == "dog"
    # A block that is no multiple of a hop waits for the rest of one: hop + hop - gcd.
    assert facts["block_latency_samples"] == {
        "64": 192,
        "128": 128,
        "256": 128,
        "480": 224,
        "512": 128,
        "1024": 128,
    }


def test_words_by_class(soloist: Run, toy: str) -> None:
    assert "dog: dog, barking dog\n" in soloist("queries", "-m", toy).out
    assert json.loads(soloist("queries", "-m", toy, "--json").out)["rain"] == [
        "rain",
        "falling rain",
    ]


def test_neighbours_by_spelling_without_the_encoder(soloist: Run, toy: str) -> None:
    result = soloist("queries", "-m", toy, "dogs", "--count", "1")
    assert result.out.splitlines() == ["dogs:", "   0.86  dog"]
    assert result.err.startswith("by spelling, not by meaning: text encoder 'toy-encoder' is unkn")
    assert soloist("queries", "-m", toy, "dog").err == ""


def test_neighbours_by_meaning_of_unknown_words(soloist: Run) -> None:
    result = soloist("queries", "a dog yapping at strangers", "--json", "-n", "3")
    (near,) = json.loads(result.out).values()
    assert all("dog" in neighbour["phrase"] for neighbour in near)
    assert result.err == ""


def test_neighbours_by_meaning_of_a_known_phrase(soloist: Run, toy: str) -> None:
    found = json.loads(soloist("queries", "-m", toy, "Barking Dog", "-n", "2", "--json").out)
    assert [near["phrase"] for near in found["Barking Dog"]] == ["barking dog", "dog"]
    assert "is known" in soloist("queries", "-m", toy, "dog").out


def test_a_model_without_words_or_conditioner(soloist: Run, toy: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(toy)
    kept = [p for p in model.metadata_props if p.key == "soloist"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "mute.onnx")
    assert "no list of words" in soloist("queries", "-m", tmp_path / "mute.onnx").refusal
    assert "plays the sounds it was made for" in soloist("info", tmp_path / "mute.onnx").out
