"""Levels against closed forms, whatever the blocks that the sound came in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.live.levels import FULL_SCALE, PEAK_S, RMS_S, LevelMeter, decibels

Audio = NDArray[np.float32]

RATE = 48_000


def sine(peak: float, frames: int, channels: int = 2) -> Audio:
    """A tone of 480 Hz: 0.2 and 0.3 s are whole periods, and its crest is a sample."""
    wave = peak * np.sin(2 * np.pi * 480 / RATE * np.arange(frames))
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def noise(frames: int) -> Audio:
    rng = np.random.default_rng(frames)
    return rng.uniform(-1.1, 1.1, (frames, 2)).astype(np.float32)


def fed(meter: LevelMeter, audio_in: Audio, audio_out: Audio, blocks: list[int]) -> None:
    at = 0
    for block in blocks:
        meter.put_devices(audio_in[at : at + block], audio_out[at : at + block])
        at += block


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("peak", [1e-4, 0.5, 1.7])
def test_a_sine_is_its_peak_and_three_decibels_below_it(rate: int, peak: float) -> None:
    frames = rate
    wave = peak * np.cos(2 * np.pi * 100 * np.arange(frames) / rate)
    audio = np.repeat(wave[:, None], 2, axis=1).astype(np.float32)
    meter = LevelMeter(rate, 1, 2)
    for start in range(0, frames, 128):
        meter.put_devices(audio[start : start + 128], -0.5 * audio[start : start + 128])
    levels = meter.read()
    assert levels.input.peak == pytest.approx(peak, rel=1e-6)
    assert decibels(levels.input.rms) == pytest.approx(decibels(peak) - 3.0103, abs=1e-3)
    assert levels.output.peak == pytest.approx(peak / 2, rel=1e-6)
    assert decibels(levels.output.rms) == pytest.approx(decibels(peak) - 9.0309, abs=1e-3)


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=30))
def test_blocks_of_any_size_are_as_one(blocks: list[int]) -> None:
    total = sum(blocks)
    audio = noise(total)
    meter = LevelMeter(RATE, 1, 2)
    fed(meter, audio, audio[::-1], blocks)
    found = meter.read().input
    latest = audio[-round(RMS_S * RATE) :].astype(np.float64)
    assert found.peak == np.abs(audio[-round(PEAK_S * RATE) :]).max(initial=0.0)
    assert found.rms == pytest.approx(np.sqrt(np.mean(latest**2)) if total else 0.0, rel=1e-5)
    assert found.clips == np.count_nonzero(np.abs(latest) >= FULL_SCALE)


def test_every_clip_is_counted_once() -> None:
    meter, quiet = LevelMeter(RATE, 1, 1), np.zeros((480, 1), np.float32)
    loud = quiet.copy()
    loud[7:10] = [[1.0], [-1.0], [0.99999]]
    for number in range(100):  # a second, read every 0.03 s
        meter.put_devices(loud if number % 10 == 0 else quiet, quiet)
        if number % 3 == 0:
            meter.read()
    levels = meter.read()
    assert (levels.input.clips, levels.output.clips) == (30, 0)
    assert levels.input.peak == 1.0
    for _ in range(20):
        meter.put_devices(quiet, quiet)
    assert meter.read().input.peak == 0.0  # what was loud is more than 0.2 s ago
    assert meter.read().input.clips == 30


def test_stems_and_the_rest() -> None:
    meter = LevelMeter(RATE, 2, 2)
    tone = sine(0.8, 128)
    for _ in range(200):
        meter.put_stems(tone, np.stack([0.25 * tone, 0.5 * tone]))
    peaks = [level.peak for level in meter.read().stems]
    assert peaks == pytest.approx([0.2, 0.4, 0.2], rel=1e-6)


def test_one_sound_on_two_outputs() -> None:
    """A microphone's one channel is heard on both sides."""
    meter = LevelMeter(RATE, 1, 1)
    mono = sine(0.5, 48_000, 1)
    meter.put_devices(mono, np.repeat(mono, 2, axis=1))
    levels = meter.read()
    assert levels.input == levels.output


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_sound_is_no_level(bad: float) -> None:
    meter = LevelMeter(RATE, 1, 1)
    audio = np.full((64, 1), 0.5, np.float32)
    audio[3] = bad
    meter.put_devices(audio, audio)
    level = meter.read().input
    assert (level.peak, level.clips) == (0.5, 0)
    assert level.rms == pytest.approx(0.5 * np.sqrt(63 / 64))


def test_before_there_is_sound() -> None:
    levels = LevelMeter(RATE, 3, 2).read()
    assert len(levels.stems) == 4
    assert all(level.peak == level.rms == 0.0 for level in (levels.input, *levels.stems))


def test_decibels() -> None:
    assert decibels(1.0) == 0.0
    assert decibels(0.5) == pytest.approx(-6.02, abs=0.01)
    assert decibels(0.0) == -np.inf
