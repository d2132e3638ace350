from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.processor import RAMP_SECONDS, Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]

HOP = 128
RAMP_HOPS = 4  # 10 ms at 48 kHz, rounded up to hops
# Weights move in straight lines from hop to hop; overlap-add rounds the corners, so that within a
# hop the steepest place is π/2 times the mean slope.
STEEPEST = np.pi / 2 / (RAMP_HOPS * HOP)

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


@pytest.mark.parametrize("gains", [([1.0, 1.0], 0.0), (-1.0, 0.0), (1.0, np.nan), (np.inf, 1.0)])
def test_refuses_gains_that_are_none(processor: Processor, gains: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="found"):
        processor.set_gains(*gains)
    with pytest.raises(ValueError, match="0 to 1, found"):
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


def test_a_change_takes_ten_milliseconds_and_arrives_exactly(
    processor: Processor, play: Play
) -> None:
    play(processor, steady(4096))
    processor.bypass = True
    out = play(processor, steady(4096))[:, 0]
    moving = np.flatnonzero((out > 0.3001) & (out < 0.9999))
    assert RAMP_SECONDS <= len(moving) / 48_000 < 2 * RAMP_SECONDS
    assert (np.diff(out[moving]) > 0).all()
    assert (out[moving[-1] + HOP :] == 1.0).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(settings_of_a_mixer, st.integers(1, 900)), min_size=1, max_size=8))
def test_no_change_ever_jumps(
    make_spec: Callable[..., Spec],
    play: Play,
    changes: list[tuple[tuple[str, float, float | None], int]],
) -> None:
    """Changes within changes, too: gains up to 2 are at most 2 apart, a ramp takes four hops."""
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
    assert np.abs(np.diff(out)).max() <= 2 * STEEPEST + 1e-6


def test_a_change_adds_no_more_than_its_slope_to_a_signal(processor: Processor, play: Play) -> None:
    """At a tone: no step beyond the signal's own and the ramp's."""
    tone = np.sin(2 * np.pi * 440 / 48_000 * np.arange(8192, dtype=np.float32))[:, None]
    out = [play(processor, tone[:3072])]
    processor.set_gains(0.0, 2.0)
    out.append(play(processor, tone[3072:]))
    gain_span = abs(2 * 0.7 - 0.3)
    own = np.abs(np.diff(tone, axis=0)).max() * 2 * 0.7
    assert np.abs(np.diff(np.concatenate(out)[:, 0])).max() <= own + gain_span * STEEPEST


def test_bypass_is_the_input_itself_at_the_same_delay(
    processor: Processor, play: Play, noise: Callable[..., Audio]
) -> None:
    audio = noise(8192)
    first = play(processor, audio[:4096])
    processor.bypass = True
    second = play(processor, audio[4096:])
    out, delay = np.concatenate([first, second]), processor.latency_samples
    settled = 4096 + (RAMP_HOPS + 2) * HOP
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
