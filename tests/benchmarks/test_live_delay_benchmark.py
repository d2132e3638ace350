"""Delays that are known are found."""

import numpy as np
import pytest

pytest.importorskip("jack", reason="the benchmark plays through JACK")

from soloist.benchmarks.live_delay import delays

RATE, MOST = 1000, 700


def test_each_second_has_its_own_delay() -> None:
    rng = np.random.default_rng(1)
    played = rng.standard_normal(5 * RATE).astype(np.float32)
    heard = np.zeros_like(played)
    heard[200:] = 0.3 * played[:-200]
    heard[3 * RATE :] = -0.3 * played[3 * RATE - MOST : -MOST]  # where it grew
    heard += 0.05 * rng.standard_normal(len(heard)).astype(np.float32)
    assert delays(played, heard, RATE, MOST).tolist() == [200, 200, MOST, MOST]


def test_no_delay() -> None:
    played = np.random.default_rng(2).standard_normal(2 * RATE).astype(np.float32)
    assert delays(played, played, RATE, MOST).tolist() == [0]
