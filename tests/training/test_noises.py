"""Shaped noise against the power that its shape promises, band by band."""

import numpy as np
import pytest

from soloist.training import noises
from soloist.training.noises import shaped_noise

RATE = 48_000


@pytest.mark.parametrize("fall", [0.0, 3.0, 6.0])
def test_power_falls_by_as_much_an_octave_between_the_corners(
    monkeypatch: pytest.MonkeyPatch, fall: float
) -> None:
    monkeypatch.setattr(noises, "_shape", lambda _: (fall, 20.0, 20_000.0))
    noise = shaped_noise(20 * RATE, RATE, np.random.default_rng(1)).astype(float)
    assert np.square(noise).mean() == pytest.approx(1.0, rel=1e-5)
    power = np.square(np.abs(np.fft.rfft(noise)))
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [250.0 * 2**n for n in range(5)]
    found = [10 * np.log10(power[(hertz >= f / 1.1) & (hertz < 1.1 * f)].mean()) for f in octaves]
    np.testing.assert_allclose(np.diff(found), -fall, atol=0.6)


def test_shapes_differ_and_a_seed_gives_the_same_one() -> None:
    first, again, other = (shaped_noise(RATE, RATE, np.random.default_rng(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert abs(float(np.corrcoef(first, other)[0, 1])) < 0.1
    slopes = []
    for seed in range(20):
        power = np.square(
            np.abs(np.fft.rfft(shaped_noise(RATE, RATE, np.random.default_rng(seed))))
        )
        slopes.append(10 * np.log10(power[2000:4000].mean() / power[250:500].mean()))
    assert -30 < min(slopes) < -10  # three octaves of 6 dB, and the upper corner
    assert -8 < max(slopes) <= 1


@pytest.mark.parametrize("samples", [1, 2, 3, 97])
def test_short_noise_is_noise_too(samples: int) -> None:
    noise = shaped_noise(samples, RATE, np.random.default_rng(1))
    assert noise.shape == (samples,)
    assert np.isfinite(noise).all()
