import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.limiter import RELEASE_SECONDS, Limiter

Audio = NDArray[np.float32]
RATE = 48_000


def bursts(frames: int, channels: int, seed: int = 0) -> Audio:
    """Noise that swells far over full scale and back."""
    rng = np.random.default_rng(seed)
    level = 2.0 * np.abs(np.sin(np.arange(frames) / 700)) ** 8
    return (level[:, None] * rng.standard_normal((frames, channels))).astype(np.float32)


def brute_force(audio: Audio, ceiling: float) -> NDArray[np.float64]:
    """The gain by its recurrence, sample by sample, in float64."""
    step = 2.0 ** -round(math.log2(RELEASE_SECONDS * RATE))
    gain, out = 1.0, np.empty(audio.shape)
    for n, frame in enumerate(audio.astype(float)):
        peak = np.abs(frame).max()
        gain = min(1.0, ceiling / peak if peak > ceiling else 1.0, gain + step)
        out[n] = frame * gain
    return out


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ceiling", [1.0, 0.5])
def test_is_the_recurrence_and_never_above_the_ceiling(channels: int, ceiling: float) -> None:
    audio = bursts(6000, channels)
    out = audio.copy()
    Limiter(RATE, channels, 6000).process(out, ceiling)
    assert np.abs(out).max() <= ceiling
    assert np.abs(audio).max() > 3 * ceiling
    assert np.abs(out - brute_force(audio, ceiling)).max() < 2e-6


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=20).filter(any))
def test_any_partition_gives_the_same_samples(blocks: list[int]) -> None:
    audio = bursts(4000, 2)
    whole, pieces = audio.copy(), audio.copy()
    Limiter(RATE, 2, 4000).process(whole, 0.7)
    limiter, start = Limiter(RATE, 2, 900), 0
    for count in [*blocks, *[900] * 5]:
        limiter.process(pieces[start : start + count], 0.7)
        start += count
    assert (pieces == whole).all()


def test_leaves_alone_what_is_below() -> None:
    audio = bursts(4000, 1)
    audio *= np.float32(0.9) / np.abs(audio).max()
    out = audio.copy()
    Limiter(RATE, 1, 4000).process(out, 0.9 + 1e-6)
    assert (out == audio).all()


def test_switched_off_the_gain_goes_home_without_a_jump() -> None:
    limiter = Limiter(RATE, 1, RATE)
    limiter.process(np.full((8, 1), 4.0, np.float32), 1.0)
    rest = np.ones((RATE, 1), np.float32)
    limiter.process(rest, math.inf)
    assert rest[0, 0] == pytest.approx(0.25, abs=1e-3)
    assert np.diff(rest[:, 0]).max() < 1e-4
    assert (rest[-1000:] == 1.0).all()
    again = np.full((8, 1), 4.0, np.float32)
    limiter.process(again, math.inf)
    assert (again == 4.0).all()


def test_reset_is_full_gain() -> None:
    limiter = Limiter(RATE, 1, 8)
    limiter.process(np.full((8, 1), 4.0, np.float32), 1.0)
    limiter.reset()
    soft = np.full((8, 1), 0.5, np.float32)
    limiter.process(soft, 1.0)
    assert (soft == 0.5).all()
