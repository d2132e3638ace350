from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Outputs, Processor

Audio = NDArray[np.float32]
Noise = Callable[..., Audio]
ErrorDb = Callable[[Audio, Audio], float]
MakeSpec = Callable[..., Spec]
Recurrent = Callable[..., PassThroughSession]

RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 88_200, 96_000, 176_400, 192_000)


def band_limited(frames: int, rate: int, top_hertz: float) -> Audio:
    """Noise without anything above `top_hertz`."""
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(frames))
    spectrum[np.fft.rfftfreq(frames, 1 / rate) > top_hertz] = 0
    return (0.3 * np.fft.irfft(spectrum, frames)).astype(np.float32)[:, None]


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 2000), block_size=st.integers(1, 3000), channels=st.integers(1, 2))
def test_result_has_the_input_s_length_and_no_block_size(
    recurrent: Recurrent,
    make_spec: MakeSpec,
    noise: Noise,
    frames: int,
    block_size: int,
    channels: int,
) -> None:
    processor = Processor(recurrent(make_spec(), channels=channels))
    audio = noise(frames, channels)
    usual = separate_array(processor, audio, 48_000)
    assert usual.shape == audio.shape
    assert (separate_array(processor, audio, 48_000, block_size=block_size) == usual).all()


def test_is_aligned_with_the_input_to_the_last_sample(
    make_spec: MakeSpec, noise: Noise, error_db: ErrorDb
) -> None:
    processor = Processor(PassThroughSession(make_spec()))
    for frames in (1, 2, 127, 128, 129, 4095, 4096, 10_001):
        audio = noise(frames)
        assert error_db(separate_array(processor, audio, 48_000), audio) < -120


def test_equals_what_live_play_gives(
    recurrent: Recurrent, make_spec: MakeSpec, noise: Noise, ready: Any, play: Any
) -> None:
    audio = noise(5000)
    live = ready(recurrent(make_spec()), block=None)
    offline = separate_array(Processor(recurrent(make_spec())), audio, 48_000)
    heard = play(live, audio, [77])
    assert (heard[live.latency_samples :] == offline[: -live.latency_samples]).all()


def test_stems_and_residual_in_one_pass(
    recurrent: Recurrent, make_spec: MakeSpec, noise: Noise, error_db: ErrorDb
) -> None:
    processor = Processor(recurrent(make_spec(queries=3), channels=2), outputs="stems")
    audio = noise(3001, 2)
    outputs = separate_array(processor, audio, 48_000)
    assert outputs.shape == (4, 3001, 2)
    assert error_db(outputs.sum(axis=0), audio) < -120
    kept = Processor(recurrent(make_spec(queries=3), channels=2))
    assert error_db(separate_array(kept, audio, 48_000), outputs[:3].sum(axis=0)) < -120


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("outputs", ["mix", "stems"])
def test_other_rates_keep_length_alignment_and_sum(
    recurrent: Recurrent, make_spec: MakeSpec, error_db: ErrorDb, rate: int, outputs: Outputs
) -> None:
    frames = rate // 4 + 1
    audio = band_limited(frames, rate, 0.4 * min(rate, 48_000))
    same = Processor(PassThroughSession(make_spec()), outputs=outputs)
    passed = separate_array(same, audio, rate)
    passed = passed[0] if outputs == "stems" else passed
    assert passed.shape == audio.shape
    middle = slice(frames // 10, -frames // 10)  # soxr's filters reach over the ends
    assert error_db(passed[middle], audio[middle]) < -85
    other = Processor(recurrent(make_spec(queries=2)), outputs=outputs)
    if outputs == "stems":
        found = separate_array(other, audio, rate).sum(axis=0)
    else:
        kept = separate_array(other, audio, rate)
        other.remove()
        found = kept + separate_array(other, audio, rate)
    assert error_db(found, audio) < -120


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("outputs", ["mix", "stems"])
def test_bad_samples_count_as_zeros_at_any_rate(
    recurrent: Recurrent, make_spec: MakeSpec, noise: Noise, rate: int, outputs: Outputs
) -> None:
    spoilt, clean = noise(3000, 2), noise(3000, 2)
    for at, value in ((0, np.nan), (2345, np.inf), (5999, -np.inf)):
        spoilt.flat[at], clean.flat[at] = value, 0.0
    before = spoilt.copy()
    processor = Processor(recurrent(make_spec(), channels=2), outputs=outputs)
    processor.set_gains(0.5, 1.0)
    expected = separate_array(processor, clean, rate)
    assert (separate_array(processor, spoilt, rate) == expected).all()
    assert processor.counters.bad_input == 3
    np.testing.assert_array_equal(spoilt, before)  # the caller's, left alone


def test_a_rate_above_the_model_s_keeps_the_top_in_the_residual(
    recurrent: Recurrent, make_spec: MakeSpec, error_db: ErrorDb
) -> None:
    rate, frames = 96_000, 48_000
    tone = np.sin(2 * np.pi * 36_000 / rate * np.arange(frames)).astype(np.float32)[:, None]
    stem, residual = separate_array(Processor(recurrent(make_spec()), outputs="stems"), tone, rate)
    assert np.abs(stem[4800:-4800]).max() < 1e-4
    assert error_db(residual[4800:-4800], tone[4800:-4800]) < -80


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 300), rate=st.sampled_from(RATES))
def test_short_recordings_of_any_rate_keep_their_length(
    make_spec: MakeSpec, noise: Noise, frames: int, rate: int
) -> None:
    audio = noise(frames)
    out = separate_array(Processor(PassThroughSession(make_spec())), audio, rate)
    assert out.shape == audio.shape
    assert np.isfinite(out).all()


def test_nothing_in_is_nothing_out(make_spec: MakeSpec) -> None:
    for rate in (48_000, 44_100):
        processor = Processor(PassThroughSession(make_spec(queries=2), channels=2))
        assert separate_array(processor, np.zeros((0, 2), np.float32), rate).shape == (0, 2)
        processor = Processor(PassThroughSession(make_spec(), channels=2), outputs="stems")
        assert separate_array(processor, np.zeros((0, 2), np.float32), rate).shape == (2, 0, 2)


def test_progress_rises_to_one(make_spec: MakeSpec, noise: Noise) -> None:
    shares: list[float] = []
    processor = Processor(PassThroughSession(make_spec()))
    separate_array(processor, noise(20_000), 48_000, progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) == 5
    assert shares[-1] == 1.0


def test_takes_a_bundle(toy_bundle: Any, noise: Noise) -> None:
    audio = noise(3000, 2)
    out = separate_array(toy_bundle().bundle, audio, 48_000)
    assert out.shape == audio.shape
    assert 0.01 < np.abs(out).max() < 2


@pytest.mark.parametrize("shape", [(10,), (10, 0), (2, 10, 1)])
def test_refuses_what_is_no_recording(make_spec: MakeSpec, shape: tuple[int, ...]) -> None:
    processor = Processor(PassThroughSession(make_spec()))
    with pytest.raises(ValueError, match="found audio of shape"):
        separate_array(processor, np.zeros(shape, np.float32), 48_000)
