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


class BeginsLate(Session):
    """Gives silence and is not asked for so many steps; then a network that has heard nothing."""

    begins = 0
    steps = 0

    def step(self) -> None:
        if self.steps >= self.begins:
            super().step()
        self.steps += 1


def test_after_a_fault_it_is_as_a_fresh_network(
    bundle: Bundle, mixture: Audio, play: Play, error_db: Callable[..., float]
) -> None:
    """To the bit, from the second hop on: the first is still overlapped by what the fault left.

    An engine that is fresh in all its parts hears the recording begin out of silence instead, so
    eight frames of it differ; the network forgets that as slowly as it does anything else.
    """
    at, engine = 300, Session(bundle, device="cpu")
    failing, late = FailsOnce(bundle, device="cpu"), BeginsLate(bundle, device="cpu")
    failing.failing, late.begins = at, at + 1
    found, expected, fresh = (
        played(session, mixture[start:], play)
        for session, start in ((failing, 0), (late, 0), (engine, (at + 1) * HOP))
    )
    back = (at + 3) * HOP
    np.testing.assert_array_equal(found[back:], expected[back:])
    since = SECOND + (at + 1) * HOP
    assert error_db(found[since:], fresh[SECOND:]) < -30


def played(session: Session, audio: Audio, play: Play) -> Audio:
    """All of it, in blocks of a hop."""
    processor = Processor(session)
    processor.prepare(RATE, HOP, 1, block=HOP)
    return play(processor, audio, [HOP])


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
    """Each of them as if it were alone, but for what is heard: that is one ear for all."""
    audio = mixture[:SECOND]
    mono = Processor(bundle, device="cpu", listens=False)
    mono.prepare(RATE, SECOND, 1)
    expected = play(mono, audio)
    levels = np.linspace(1.0, 0.5, channels, dtype=np.float32)
    processor = Processor(bundle, device="cpu", listens=False)
    processor.prepare(RATE, SECOND, channels)
    found = play(processor, np.repeat(audio, channels, axis=1) * levels)
    assert error_db(found[:, :1], expected) < -100
