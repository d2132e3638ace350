"""Bad numbers: they never reach the ears, they are counted, and nothing remembers them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]
Noise = Callable[..., Audio]
Ready = Callable[..., Processor]
Recurrent = Callable[..., PassThroughSession]
MakeSpec = Callable[..., Spec]

HOP = 128
bad_values = st.sampled_from([np.nan, np.inf, -np.inf])


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, 2 * 1500 - 1), bad_values, min_size=1, max_size=20))
def test_bad_input_counts_as_zeros(
    ready: Ready,
    recurrent: Recurrent,
    make_spec: MakeSpec,
    play: Play,
    noise: Noise,
    bad: dict[int, float],
) -> None:
    clean, spoilt = noise(1500, channels=2), noise(1500, channels=2)
    for at, value in bad.items():
        spoilt.flat[at], clean.flat[at] = value, 0.0
    expected = play(ready(recurrent(make_spec(), channels=2)), clean)
    processor = ready(recurrent(make_spec(), channels=2))
    assert (play(processor, spoilt, [100]) == expected).all()
    processed = 2 * (1500 // HOP * HOP)
    assert processor.counters.bad_input == sum(at < processed for at in bad)
    assert processor.counters.faults == 0


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, 30), bad_values, min_size=1, max_size=8))
def test_a_fault_of_the_network_is_the_input_for_a_hop(
    ready: Ready,
    recurrent: Recurrent,
    make_spec: MakeSpec,
    play: Play,
    noise: Noise,
    faults: dict[int, float],
) -> None:
    audio = noise(31 * HOP, channels=2)
    processor = ready(recurrent(make_spec(queries=2), channels=2, faults=faults), block=HOP)
    out = play(processor, audio)
    assert processor.counters.faults == len(faults)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 2 * np.abs(audio).max()
    for hop in faults:
        if hop - 1 in faults:  # two frames without stems: nothing but the input is heard
            assert (out[hop * HOP :][:HOP] == audio[(hop - 1) * HOP :][:HOP]).all()


def test_a_fault_leaves_no_trace(
    ready: Ready, recurrent: Recurrent, make_spec: MakeSpec, play: Play, noise: Noise
) -> None:
    """Noise, then silence until the analysis window has forgotten it, then a fault in the state."""
    before, after = noise(16 * HOP), noise(16 * HOP, seed=1)
    silence = np.zeros((9 * HOP, 1), np.float32)
    processor = ready(recurrent(make_spec(), faults={24: np.nan}), block=HOP)
    play(processor, before)
    play(processor, silence)
    assert processor.counters.faults == 1
    fresh = ready(recurrent(make_spec()), block=HOP)
    assert (play(processor, after) == play(fresh, after)).all()


def test_a_network_that_is_broken_for_good_is_a_bypass(
    ready: Ready, recurrent: Recurrent, make_spec: MakeSpec, play: Play, noise: Noise
) -> None:
    broken = {step: np.nan for step in range(40)}
    audio = noise(40 * HOP)
    processor = ready(recurrent(make_spec(), faults=broken), block=HOP)
    out = play(processor, audio)
    assert (out[2 * HOP :] == audio[HOP:-HOP]).all()
    separate = ready(recurrent(make_spec(), faults=broken), block=HOP, outputs="stems")
    stem, residual = play(separate, audio)
    assert not stem.any()
    assert (residual[HOP:] == audio[:-HOP]).all()


def test_a_fault_is_not_louder_than_the_settings(
    ready: Ready, recurrent: Recurrent, make_spec: MakeSpec, play: Play, noise: Noise
) -> None:
    processor = ready(recurrent(make_spec(), faults={3: np.nan, 4: np.inf}))
    processor.set_gains(0.0, 0.0)
    assert not play(processor, noise(20 * HOP)).any()


def test_nothing_is_printed_or_raised_by_overflow(
    ready: Ready, make_spec: MakeSpec, play: Play
) -> None:
    """Warnings are errors in these tests; in a callback they would be lines on the terminal."""
    processor = ready(PassThroughSession(make_spec(), weights=[1e30]))
    loud = np.full((10 * HOP, 1), 3e38, np.float32)
    out = play(processor, loud)
    assert np.isfinite(out).all()
    assert processor.counters.faults == 10


def test_a_real_network_recovers(toy_bundle: Any, play: Play, noise: Noise) -> None:
    """onnxruntime's own state is reset, too: after a while of NaN the stems are back."""
    toy = toy_bundle()
    processor = Processor(toy.bundle, device="cpu")
    processor.prepare(48_000, 512, 1, block=HOP)
    audio = noise(20 * HOP)
    expected = play(processor, audio)
    processor.set_conditioning(np.full_like(toy.conditioning, np.nan))
    assert np.isfinite(play(processor, audio)).all()
    assert processor.counters.faults == 20
    processor.set_conditioning(toy.conditioning)
    processor.reset()
    assert (play(processor, audio) == expected).all()
