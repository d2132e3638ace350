"""Metrics against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from soloist.training.metrics import attenuation, sdr, si_sdr

RNG = np.random.default_rng(3)
REFERENCE = RNG.standard_normal(48000)
REFERENCE -= REFERENCE.mean()
NOISE = RNG.standard_normal(48000)
NOISE -= NOISE.mean()
# At right angles to the reference and as loud: any mixture's ratio is known exactly.
NOISE -= NOISE @ REFERENCE / (REFERENCE @ REFERENCE) * REFERENCE
NOISE *= np.linalg.norm(REFERENCE) / np.linalg.norm(NOISE)


@pytest.mark.parametrize("level", [-20.0, -5.0, 0.0, 12.5, 60.0])
def test_noise_at_a_known_level(level: float) -> None:
    estimate = REFERENCE + 10 ** (-level / 20) * NOISE
    assert si_sdr(estimate, REFERENCE) == pytest.approx(level, abs=1e-6)
    assert sdr(estimate, REFERENCE) == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize("gain", [0.5, 2.0, 10.0])
def test_level_counts_for_sdr_alone(gain: float) -> None:
    estimate = gain * (REFERENCE + 0.1 * NOISE)
    assert si_sdr(estimate, REFERENCE) == pytest.approx(20.0, abs=1e-6)
    expected = -10 * np.log10((gain - 1) ** 2 + (0.1 * gain) ** 2)
    assert sdr(estimate, REFERENCE) == pytest.approx(expected, abs=1e-6)


def test_an_offset_does_not_count() -> None:
    estimate = REFERENCE + 0.1 * NOISE
    assert si_sdr(estimate + 3, REFERENCE - 5) == pytest.approx(20.0, abs=1e-6)
    assert sdr(estimate + 3, REFERENCE - 5) == pytest.approx(20.0, abs=1e-6)


def test_extremes_stay_finite() -> None:
    silence = np.zeros(48000)
    assert si_sdr(REFERENCE, REFERENCE) == pytest.approx(120.0)
    assert sdr(REFERENCE, REFERENCE) == pytest.approx(120.0)
    assert sdr(silence, REFERENCE) == pytest.approx(0.0)
    assert si_sdr(silence, REFERENCE) <= -100
    assert attenuation(REFERENCE, silence) == pytest.approx(120.0)


def test_attenuation() -> None:
    assert attenuation(REFERENCE, 0.01 * REFERENCE) == pytest.approx(40.0)
    assert attenuation(REFERENCE, 2 * NOISE) == pytest.approx(-20 * np.log10(2))
