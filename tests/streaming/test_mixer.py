from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.chain import Change
from soloist.streaming.parameters import RAMP_SECONDS
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]

HOP = 128
RAMP = 480  # samples of 10 ms at 48 kHz

settings_of_a_mixer = st.one_of(
    st.tuples(st.just("gains"), st.floats(0, 2), st.floats(0, 2)),
    st.tuples(st.just("wet"), st.floats(0, 1), st.none()),
    st.tuples(st.just("bypass"), st.booleans(), st.none()),
)


@pytest.fixture
def processor(make_spec: Callable[..., Spec]) -> Processor:
    """Its stem is 0.3 of the input, so the residual is 0.7 of it."""
    processor = Processor(PassThroughSession(make_spec(), weights=[0.3]))
    processor.prepare(48_000, 8192, 1, block=HOP)
    return processor


def steady(frames: int) -> Audio:
    """A constant: the output is then the gain itself, sample by sample."""
    return np.ones((frames, 1), np.float32)


def test_keep_remove_and_all(processor: Processor, play: Play) -> None:
    for arm, level in (
        (processor.keep, 0.3),
        (processor.remove, 0.7),
        (lambda: processor.set_gains(2.0, 0.5), 0.95),
        (lambda: processor.set_gains([0.0], 0.0), 0.0),
        (lambda: setattr(processor, "wet", 0.5), 0.5),
    ):
        arm()
        out = play(processor, steady(4096))
        assert out[-1, 0] == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(("mode", "gains"), [("keep", (1.0, 1.0, 0.0)), ("remove", (0, 0, 1))])
def test_mode_sets_the_first_gains(
    make_spec: Callable[..., Spec], mode: str, gains: tuple[float, ...]
) -> None:
    processor = Processor(PassThroughSession(make_spec(queries=2)), mode=mode)  # type: ignore[arg-type]
    assert processor.gains == gains


def test_each_stem_has_its_gain(make_spec: Callable[..., Spec], play: Play) -> None:
    processor = Processor(PassThroughSession(make_spec(queries=3), weights=[0.5, 0.2, 0.1]))
    processor.set_gains([1.0, 0.0, 2.0], 0.5)
    processor.prepare(48_000, 4096, 1)
    assert play(processor, steady(4096))[-1, 0] == pytest.approx(0.5 + 0.2 + 0.1, abs=1e-6)
    assert processor.gains == (1.0, 0.0, 2.0, 0.5)


@pytest.mark.parametrize(
    "gains", [([1.0, 1.0], 0.0), (-1.0, 0.0), (1.0, np.nan), (np.inf, 1.0), (4.0, 0.0)]
)
def test_refuses_gains_that_are_none(processor: Processor, gains: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="found"):
        processor.set_gains(*gains)
    with pytest.raises(ValueError, match="wet: found 150, expected 0 % to 100 %"):
        processor.wet = 1.5
    assert processor.gains == (1.0, 0.0)


def test_before_the_first_sample_a_setting_applies_at_once(
    processor: Processor, play: Play
) -> None:
    late, early = play(processor, steady(4096)), steady(4096)
    processor.remove()
    processor.reset()
    processor.keep()
    assert (play(processor, early) == late).all()


def test_a_change_is_a_straight_line_of_ten_milliseconds(processor: Processor, play: Play) -> None:
    """From the first sample of the block on: 0.3 to 1.0 in 480 equal steps, then 1.0 itself."""
    play(processor, steady(4096))
    processor.bypass = True
    out = play(processor, steady(4096))[:, 0]
    assert RAMP_SECONDS * 48_000 == RAMP
    line = 0.3 + 0.7 * np.arange(1, RAMP + 1) / RAMP
    assert np.abs(out[:RAMP] - line).max() < 1e-6
    assert (out[RAMP - 1 :] == 1.0).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2000),
    st.lists(st.integers(1, 700), min_size=1, max_size=10),
    st.sampled_from([("bypass", 1.0), ("wet", 50.0), ("stem1.gain", 6.0), ("stem1.mute", 1.0)]),
)
def test_a_change_within_a_block_begins_at_its_frame(
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Callable[..., Audio],
    at: int,
    blocks: list[int],
    change: tuple[str, float],
) -> None:
    """The same samples come out wherever the blocks end: brute force sets it between two blocks."""

    def fresh() -> Processor:
        processor = Processor(PassThroughSession(make_spec(), weights=[0.3]))
        processor.prepare(48_000, 8192, 1, block=None)
        return processor

    audio, (key, value) = noise(3000), change
    apart = fresh()
    first = play(apart, audio[:at]) if at else audio[:0]
    apart.set(key, value)
    expected = np.concatenate([first, play(apart, audio[at:], [*blocks, 500])])
    whole, out = fresh(), np.empty_like(audio)
    whole.process(audio, out, [Change(at, key, value)])
    assert (out == expected).all()
    assert whole.get(key) == value


def test_changes_that_are_none_are_refused(processor: Processor) -> None:
    block = steady(64)
    for changes, message in (
        ([Change(65, "wet", 50.0)], "in a block of 64"),
        ([Change(9, "wet", 50.0), Change(3, "wet", 60.0)], "at frame 3 after one at 9"),
        ([Change(0, "loudness", 1.0)], "no parameter 'loudness'"),
        ([Change(0, "wet", 101.0)], "wet: found 101"),
        ([Change(0, "wet", None)], "wet: found None, expected a number"),  # type: ignore[arg-type]
        ([Change(0.5, "wet", 1.0)], "a change at frame 0.5"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match=message):
            processor.process(block, block, changes)
    assert processor.get("wet") == 100.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(settings_of_a_mixer, st.integers(1, 900)), min_size=1, max_size=8))
def test_no_change_ever_jumps(
    make_spec: Callable[..., Spec],
    play: Play,
    changes: list[tuple[tuple[str, float, float | None], int]],
) -> None:
    """Changes within changes, too: gains up to 2 are at most 2 apart."""
    processor = Processor(PassThroughSession(make_spec(), weights=[0.3]))
    processor.prepare(48_000, 8192, 1)
    outs = [play(processor, steady(2048))]
    for (name, value, residual), frames in changes:
        if name == "gains":
            assert residual is not None
            processor.set_gains(value, residual)
        else:
            setattr(processor, name, value)
        outs.append(play(processor, steady(frames)))
    out = np.concatenate(outs)[1024:, 0]
    assert np.abs(np.diff(out)).max() <= 2 / RAMP + 1e-6


def test_a_change_adds_no_more_than_its_slope_to_a_signal(processor: Processor, play: Play) -> None:
    """At a tone: no step beyond the signal's own and the ramp's."""
    tone = np.sin(2 * np.pi * 440 / 48_000 * np.arange(8192, dtype=np.float32))[:, None]
    out = [play(processor, tone[:3072])]
    processor.set_gains(0.0, 2.0)
    out.append(play(processor, tone[3072:]))
    gain_span = abs(2 * 0.7 - 0.3)
    own = np.abs(np.diff(tone, axis=0)).max() * 2 * 0.7
    assert np.abs(np.diff(np.concatenate(out)[:, 0])).max() <= own + gain_span / RAMP


def test_bypass_is_the_input_itself_at_the_same_delay(
    processor: Processor, play: Play, noise: Callable[..., Audio]
) -> None:
    audio = noise(8192)
    first = play(processor, audio[:4096])
    processor.bypass = True
    second = play(processor, audio[4096:])
    out, delay = np.concatenate([first, second]), processor.latency_samples
    settled = 4096 + RAMP
    assert (out[settled:] == audio[settled - delay : -delay]).all()
    processor.bypass = False
    assert processor.gains == (1.0, 0.0)


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_equal_gains_are_the_delayed_input(
    ready: Callable[..., Processor],
    recurrent: Callable[..., PassThroughSession],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Callable[..., Audio],
    gain: float,
) -> None:
    """Whatever the network does: no stem is left in the sum, so it is exact, not only -120 dB."""
    processor = ready(recurrent(make_spec(queries=3), channels=2), block=512)
    processor.set_gains(gain, gain)
    audio = noise(4096, channels=2)
    out, delay = play(processor, audio, [512]), processor.latency_samples
    assert (out[delay:] == np.float32(gain) * audio[:-delay]).all()
