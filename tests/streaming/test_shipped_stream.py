"""The engine with the network that ships, on the mixture that ships."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import soloist
from soloist.runtime.bundle import Bundle
from soloist.runtime.queries import conditioning_for
from soloist.runtime.session import Session
from soloist.streaming.files import read_audio
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]

RATE, HOP = 48_000, 128
SECOND = RATE // HOP * HOP


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open("solo")


@pytest.fixture(scope="module")
def mixture() -> Audio:
    """Four seconds of the demo's mixture, mono."""
    path = Path(soloist.__file__).parent / "app" / "assets" / "mixture.flac"
    return read_audio(path).samples[: 4 * SECOND, :1].copy()


class FailsOnce(Session):
    """NaN in one of its steps."""

    failing = -1
    steps = 0

    def step(self) -> None:
        super().step()
        if self.steps == self.failing:
            self.stems[0, 0, 5] = np.nan
        self.steps += 1


def test_within_a_second_of_a_fault_it_is_as_a_fresh_engine(
    bundle: Bundle, mixture: Audio, play: Play, error_db: Callable[..., float]
) -> None:
    """All that they differ in is what the analysis window still held at the fault."""
    session = FailsOnce(bundle, device="cpu")
    session.failing = 300
    processor = Processor(session)
    processor.prepare(RATE, HOP, 1, block=HOP)
    found = play(processor, mixture, [HOP])[300 * HOP :]
    assert processor.counters.faults == 1
    fresh = Processor(bundle, device="cpu")
    fresh.prepare(RATE, HOP, 1, block=HOP)
    expected = play(fresh, mixture[300 * HOP :], [HOP])
    assert error_db(found[SECOND:], expected[SECOND:]) < -40


def test_other_words_make_no_jump(bundle: Bundle, mixture: Audio, play: Play) -> None:
    """From sample to sample the output moves no further than it does with either words for good."""
    words = conditioning_for(bundle, ["dog barking", "speech", "rain"])
    steps: list[Audio] = []
    for turn in range(-1, len(words)):
        processor = Processor(bundle, device="cpu", conditioning=words[:1])
        processor.prepare(RATE, HOP, 1, block=HOP)
        out = []
        for index, start in enumerate(range(0, len(mixture), 20 * HOP)):
            each = words[index % len(words)] if turn < 0 else words[turn]
            processor.set_conditioning(each[None])
            out.append(play(processor, mixture[start : start + 20 * HOP], [HOP]))
        steps.append(np.abs(np.diff(np.concatenate(out)[:, 0])))
    # Local, over 20 ms: a click would hide behind a loud moment elsewhere.
    local = [step[: len(step) // 960 * 960].reshape(-1, 960).max(axis=1) for step in steps]
    switched, steady = local[0], np.max(local[1:], axis=0)
    assert (switched <= 1.1 * steady + 1e-4).all()
    assert switched.max() > 0.01


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_number_of_channels(
    bundle: Bundle, mixture: Audio, play: Play, channels: int, error_db: Callable[..., float]
) -> None:
    """Each of them as if it were alone."""
    audio = mixture[:SECOND]
    mono = Processor(bundle, device="cpu")
    mono.prepare(RATE, SECOND, 1)
    expected = play(mono, audio)
    levels = np.linspace(1.0, 0.5, channels, dtype=np.float32)
    processor = Processor(bundle, device="cpu")
    processor.prepare(RATE, SECOND, channels)
    found = play(processor, np.repeat(audio, channels, axis=1) * levels)
    assert error_db(found[:, :1], expected) < -100
