import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.resampling import StreamResampler

Audio = NDArray[np.float32]

RATES = (8_000, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)
PAIRS = [(a, b) for a in RATES for b in RATES if a != b]
AWKWARD = [(48_000, 47_999), (44_101, 48_000), (1_000, 192_000), (192_000, 999)]

pairs = st.sampled_from(PAIRS + AWKWARD)
blocks = st.lists(st.integers(0, 700), min_size=1, max_size=12)


def make(pair: tuple[int, int], channels: int = 1, position: int = 0) -> StreamResampler:
    """With blocks of 700 samples at most; an output falls on `position`."""
    resampler = StreamResampler(*pair, (channels,), 700)
    resampler.restart(resampler.start_for(position))
    return resampler


def stream(resampler: StreamResampler, audio: Audio, sizes: list[int] | None = None) -> Audio:
    """All of `audio` in blocks of these sizes and then of 700."""
    parts, start, waiting = [], 0, list(sizes or [])
    while start < len(audio):
        size = waiting.pop(0) if waiting else 700
        parts.append(resampler.process(audio[start : start + size]).copy())
        start += size
    return np.concatenate(parts)


def noise(frames: int, channels: int = 1) -> Audio:
    return np.random.default_rng(3).standard_normal((frames, channels)).astype(np.float32)


def below(limit: Fraction, start: Fraction, step: Fraction) -> int:
    """How many of start, start + step, ... are less than `limit`: counted one by one."""
    count = 0
    while start + count * step < limit:
        count += 1
    return count


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
@pytest.mark.parametrize("position", [0, 5, 1001])
def test_outputs_lie_where_they_say(pair: tuple[int, int], position: int) -> None:
    """A tone at a tenth of the lower rate, against the tone itself at the exact positions."""
    resampler = make(pair, position=position)
    start = resampler.start_for(position)
    radians = 2 * np.pi * 0.1 * min(pair) / pair[0]
    frames = 700 + 20 * math.ceil(max(1.0, float(resampler.step)) * 20)
    tone = np.cos(radians * np.arange(frames)).astype(np.float32)[:, None]
    found = stream(resampler, tone)[:, 0]
    places = float(start) + np.arange(len(found)) * float(resampler.step)
    inner = (places > resampler.ahead + 1) & (places < frames - resampler.ahead - 1)
    assert inner.sum() > 10
    assert np.abs(found - np.cos(radians * places))[inner].max() < 10 ** (-88 / 20)
    if start:
        assert (position - start) % resampler.step == 0


@settings(max_examples=40, deadline=None)
@given(pair=pairs, position=st.integers(0, 500), sizes=blocks)
def test_gives_what_is_due_and_no_sooner(
    pair: tuple[int, int], position: int, sizes: list[int]
) -> None:
    resampler = make(pair, position=position)
    start, taken, made = resampler.start_for(position), 0, 0
    for size in sizes:
        made += len(resampler.process(np.zeros((size, 1), np.float32)))
        taken += size
        assert made == below(Fraction(taken - resampler.ahead), start, resampler.step)


@settings(max_examples=40, deadline=None)
@given(pair=pairs, position=st.integers(0, 500))
def test_starts_at_the_latest_that_can_be(pair: tuple[int, int], position: int) -> None:
    resampler = make(pair)
    start = resampler.start_for(position)
    assert (position - start) % resampler.step == 0
    assert start == 0 or 1 - resampler.lead - resampler.step <= start < 1 - resampler.lead
    assert (start == 0) == (position % resampler.step == 0)


@settings(max_examples=30, deadline=None)
@given(pair=pairs, channels=st.integers(1, 7), position=st.integers(0, 99), sizes=blocks)
def test_any_blocks_give_the_same_samples_also_the_second_time(
    pair: tuple[int, int], channels: int, position: int, sizes: list[int]
) -> None:
    audio = noise(2500, channels)
    resampler = make(pair, channels, position)
    whole = stream(resampler, audio)
    resampler.restart(resampler.start_for(position))
    assert np.array_equal(stream(resampler, audio, sizes), whole)


def test_channels_do_not_touch_each_other() -> None:
    audio = noise(3000, 6)
    together = stream(make((44_100, 48_000), 6), audio)
    for channel in range(6):
        alone = stream(make((44_100, 48_000)), audio[:, channel : channel + 1])
        assert np.abs(together[:, channel] - alone[:, 0]).max() < 1e-6


@pytest.mark.parametrize("pair", [(48_000, 8_000), (44_100, 48_000), (16_000, 192_000)])
def test_is_causal(pair: tuple[int, int]) -> None:
    """Other input from sample 1000 on changes nothing of what was given before it."""
    audio = noise(2000)
    other = audio.copy()
    other[1000:] = 7.0
    first, second = make(pair), make(pair)
    before = stream(first, audio[:1000])
    assert np.array_equal(before, stream(second, other[:1000]))
    assert not np.array_equal(stream(first, audio[1000:]), stream(second, other[1000:]))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_an_impulse_is_over_after_the_filter(pair: tuple[int, int]) -> None:
    resampler = make(pair)
    impulse = np.zeros((2100, 1), np.float32)
    impulse[700] = 1.0
    heard = np.flatnonzero(stream(resampler, impulse)) * float(resampler.step)
    assert len(heard)
    assert heard.min() >= 700 - resampler.ahead - 1
    assert heard.max() <= 700 + resampler.ahead + 1


@pytest.mark.parametrize(
    ("pair", "block"),
    [((48_000, 8_000), 131), ((48_000, 44_100), 136), ((96_000, 44_100), 87)],
)
def test_no_sample_is_lost(pair: tuple[int, int], block: int) -> None:
    """In the blocks in which libsamplerate's simpler interface loses some within 50000 samples."""
    audio = noise(80_000)
    resampler = make(pair)
    whole = stream(resampler, audio)
    resampler.restart()
    assert np.array_equal(stream(resampler, audio, [block] * (len(audio) // block)), whole)
    assert len(whole) == below(Fraction(80_000 - resampler.ahead), Fraction(0), resampler.step)


@pytest.mark.parametrize(("rate_in", "rate_out"), [(0, 48_000), (48_000, -1), (48_000, 187)])
def test_refuses_rates_too_far_apart(rate_in: int, rate_out: int) -> None:
    with pytest.raises(ValueError, match=f"found sample rates of {rate_in} and {rate_out} Hz"):
        StreamResampler(rate_in, rate_out, (1,), 100)


def test_refuses_more_channels_than_there_can_be() -> None:
    StreamResampler(44_100, 48_000, (64, 2), 100)
    with pytest.raises(ValueError, match="130 channels"):
        StreamResampler(44_100, 48_000, (65, 2), 100)
