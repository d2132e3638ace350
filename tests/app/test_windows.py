"""Windowed models on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Run = Callable[..., Any]
Make = Callable[..., Path]


@pytest.fixture
def model(windowed_toy: Callable[..., Any]) -> str:
    """16 kHz, frames of 1 ms; windows 2 to 18 apart, its own choice 5."""
    return str(windowed_toy().path)


def test_separate_plays_it(soloist: Run, model: str, recording: Make) -> None:
    source = recording(rate=16000, channels=2, subtype="FLOAT")
    parts = []
    for side in ("--keep", "--remove"):
        target = source.with_name(f"out{side}.wav")
        assert soloist("separate", source, target, "-m", model, side).code == 0
        parts.append(soundfile.read(target)[0])
    given = soundfile.read(source)[0]
    np.testing.assert_allclose(parts[0] + parts[1], given, atol=1e-6)
    assert np.abs(parts[0]).max() > 0.1


def test_frames_and_milliseconds_are_two_ways_to_say_it(
    soloist: Run, model: str, recording: Make
) -> None:
    source = recording(rate=16000, subtype="FLOAT")
    outputs = []
    options = (["--advance", "9", "--lookahead", "8"], ["--advance", "9.2ms", "--lookahead=8 ms"])
    for number, some in enumerate([[], *options]):
        target = source.with_name(f"out{number}.wav")
        assert soloist("separate", source, target, "-m", model, *some).code == 0
        outputs.append(soundfile.read(target)[0])
    np.testing.assert_array_equal(outputs[1], outputs[2])
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--advance", "19"], "an advance of 19 frames, expected 2 to 18"),
        (["--lookahead", "1ms"], "a look-ahead of 1 frames, expected 2 to 18"),
        (["--advance", "5 h"], "'5 h' is neither frames"),
        (["--advance", "-3"], "'-3' is neither frames"),
    ],
)
def test_what_it_cannot_be_told(
    soloist: Run, model: str, recording: Make, options: list[str], complaint: str
) -> None:
    source = recording(rate=16000)
    result = soloist("separate", source, source.with_name("out.wav"), "-m", model, *options)
    assert complaint in result.refusal


def test_a_streaming_model_has_no_windows(soloist: Run, toy: str, recording: Make) -> None:
    source = recording()
    result = soloist("separate", source, source.with_name("out.wav"), "-m", toy, "--advance", "5")
    assert "'toy' is streaming, it has no windows" in result.refusal


def test_info_says_how_it_plays(soloist: Run, model: str) -> None:
    text = soloist("info", model, "--device", "cpu").out
    assert (
        "windows         0.03 s every 5 frames of 1 ms (--advance 2 to 18), "
        "look-ahead 2 (--lookahead 2 to 18)"
    ) in text
    # 5 to collect, 2 cross-fade, 2 look-ahead, 5 to compute, one ahead, and 3 hops of overlap.
    assert "latency         16.00 ms (256 samples)" in text
    facts = json.loads(soloist("info", model, "--device", "cpu", "--json").out)
    assert facts["block_latency_samples"]["64"] == 256 - 16


def test_its_own_words_may_be_asked_for(soloist: Run, model: str, recording: Make) -> None:
    source = recording(rate=16000, subtype="FLOAT")
    outputs = []
    for words in ([], ["-q", "Dog"]):
        target = source.with_name(f"own{len(words)}.wav")
        assert soloist("separate", source, target, "-m", model, *words).code == 0
        outputs.append(soundfile.read(target)[0])
    np.testing.assert_array_equal(*outputs)
    run = soloist("separate", source, source.with_name("x.wav"), "-m", model, "-q", "rain")
    assert run.code == 2
    assert "takes no words but those it was exported with (dog)" in run.err
