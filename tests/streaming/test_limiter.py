import math
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.limiter import RELEASE_SECONDS, Limiter
from soloist.streaming.parameters import RAMP_SECONDS

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


@pytest.mark.parametrize(("before", "start"), [(math.inf, 10 ** (12 / 20)), (0.5, 0.5)])
def test_a_lower_ceiling_comes_down_in_a_straight_line(before: float, start: float) -> None:
    limiter = Limiter(RATE, 1, 1000)
    limiter.process(np.full((100, 1), 3.0, np.float32), before)
    out = np.full((1000, 1), 3.0, np.float32)
    limiter.process(out, 0.25)
    length = round(RAMP_SECONDS * RATE)
    line = start + (0.25 - start) * np.arange(1, length + 1) / length
    assert np.abs(out[:length, 0] - np.minimum(3.0, line)).max() < 1e-6
    assert np.abs(out[length:] - 0.25).max() < 1e-6
    assert (out[length - 1 :] <= 0.25).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=20),
    st.lists(st.sampled_from([math.inf, 0.9, 0.4, 0.1]), min_size=3, max_size=3),
)
def test_ceilings_that_change_do_so_in_any_partition(
    blocks: list[int], ceilings: list[float]
) -> None:
    """The third comes within the way to the second."""
    audio, found = bursts(2300, 2), []
    for sizes in ([], blocks):
        cuts = accumulate(sizes)
        limiter, out = Limiter(RATE, 2, 2300), audio.copy()
        changes = dict(zip((0, 700, 900), ceilings, strict=True))
        ends = sorted({*changes, *(cut for cut in cuts if cut < 2300), 2300})
        ceiling = math.inf
        for start, end in pairwise(ends):
            ceiling = changes.get(start, ceiling)
            limiter.process(out[start:end], ceiling)
        found.append(out)
    assert (found[0] == found[1]).all()


def test_reset_is_full_gain() -> None:
    limiter = Limiter(RATE, 1, 8)
    limiter.process(np.full((8, 1), 4.0, np.float32), 1.0)
    limiter.reset()
    soft = np.full((8, 1), 0.5, np.float32)
    limiter.process(soft, 1.0)
    assert (soft == 0.5).all()
