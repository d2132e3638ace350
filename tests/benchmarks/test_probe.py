"""Delays that are known in closed form: a spectrum turned by exp(-jωd) is late by d samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.benchmarks.probe import Echo, Probe, RoundTrip, listen

Samples = NDArray[np.float32]


@cache
def probe(rate: int = 48_000) -> Probe:
    return Probe(rate)


def late(of: Probe, delay: float, gain: float = 1.0) -> Samples:
    """What comes back in a period of a sweep that is so many samples late."""
    size = 4 * of.period
    turned = np.fft.rfft(of.sweep, size) * np.exp(-2j * np.pi * np.fft.rfftfreq(size) * delay)
    return (gain * np.fft.irfft(turned, size)[: of.period]).astype(np.float32)


@settings(deadline=None, max_examples=15)
@given(
    delay=st.floats(0.0, 28_000.0),
    gain_db=st.floats(-60.0, 12.0),
    inverted=st.booleans(),
)
def test_the_delay_is_found_to_a_ten_thousandth_of_a_sample(
    delay: float, gain_db: float, inverted: bool
) -> None:
    echo = probe().echo(late(probe(), delay, (-1) ** inverted * 10 ** (gain_db / 20)))
    assert echo is not None
    assert abs(echo.delay - delay) < 1e-4
    assert abs(echo.gain_db - gain_db) < 1e-3
    assert echo.inverted == inverted
    assert echo.clarity_db > 80.0


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_at_any_rate(rate: int) -> None:
    echo = probe(rate).echo(late(probe(rate), 1234.567))
    assert echo is not None
    assert echo.delay == pytest.approx(1234.567, abs=1e-4)


@pytest.mark.parametrize(("below_db", "within"), [(60, 0.003), (40, 0.03)])
def test_noise_costs_some_of_the_accuracy(below_db: int, within: float) -> None:
    rng = np.random.default_rng(0)
    clean = late(probe(), 300.37)
    level = np.sqrt(np.mean(clean**2)) * 10 ** (-below_db / 20)
    for _ in range(5):
        echo = probe().echo(clean + (level * rng.standard_normal(len(clean))).astype(np.float32))
        assert echo is not None
        assert abs(echo.delay - 300.37) < within


def test_distortion_of_the_way_does_not_move_it() -> None:
    clean = late(probe(), 500.25)
    echo = probe().echo((np.tanh(6 * clean) / 6).astype(np.float32))  # 12 % of the third harmonic
    assert echo is not None
    assert echo.delay == pytest.approx(500.25, abs=0.01)


def test_the_strongest_of_several_ways_counts() -> None:
    echo = probe().echo(late(probe(), 400.0, 0.3) + late(probe(), 1400.0, 0.9))
    assert echo is not None
    assert echo.delay == pytest.approx(1400.0, abs=0.01)
    assert echo.clarity_db == pytest.approx(20 * np.log10(3), abs=0.2)


@pytest.mark.parametrize("heard", ["nothing", "noise", "a tone"])
def test_other_sounds_are_no_echo(heard: str) -> None:
    frames = np.arange(probe().period)
    sounds: dict[str, Any] = {
        "nothing": np.zeros(len(frames)),
        "noise": np.random.default_rng(3).standard_normal(len(frames)),
        "a tone": np.sin(0.1 * frames),
    }
    assert probe().echo(sounds[heard].astype(np.float32)) is None


def test_two_clocks_show_as_a_growing_delay() -> None:
    of, ppm = probe(), 80.0
    starts = [number * of.period for number in range(5)]
    heard = np.concatenate([late(of, 700.0 + 1e-6 * ppm * start) for start in starts])
    trip = listen(of, heard, starts)
    assert trip.drift_ppm == pytest.approx(ppm, abs=0.1)
    assert trip.delay == pytest.approx(700.0 + 1e-6 * ppm * starts[2], abs=1e-3)
    assert trip.spread == pytest.approx(1e-6 * ppm * starts[4], abs=1e-3)


def test_one_disturbed_sweep_moves_neither_delay_nor_drift_and_one_that_is_lost_is_told() -> None:
    of = probe()
    starts = [number * of.period for number in range(6)]
    parts = [late(of, 64.0, -0.5) for _ in starts]
    parts[1] = late(of, 192.0, -0.5)
    parts[4][:] = 0.0
    trip = listen(of, np.concatenate(parts), starts)
    assert (trip.played, len(trip.echoes)) == (6, 5)
    assert trip.delay == pytest.approx(64.0, abs=1e-3)
    assert trip.drift_ppm == pytest.approx(0.0, abs=0.01)
    assert trip.spread == pytest.approx(128.0, abs=1e-3)
    assert trip.inverted
    assert trip.gain_db == pytest.approx(20 * np.log10(0.5), abs=1e-3)


def test_a_single_sweep_tells_no_drift() -> None:
    assert RoundTrip(48_000, 1, (0,), (Echo(1.0, 0.0, False, 90.0),)).drift_ppm == 0.0
