"""A silence and a delay that are known are found."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jack", reason="the benchmark plays through JACK")

from soloist.benchmarks.recovery import RATE, hear
from soloist.runtime.errors import DeviceError


def loop(silent: int, late: int) -> Any:
    """What is heard is silence for so many frames, and then what was played so many before."""
    played = np.random.default_rng(4).standard_normal(4 * RATE).astype(np.float32)
    heard = np.zeros_like(played)
    heard[silent:] = played[silent - late : len(played) - late]
    return SimpleNamespace(played=played, heard=heard, run=lambda: None)


@pytest.mark.parametrize(("silent", "late"), [(700, 128), (RATE // 2 + 3, 192)])
def test_the_first_sound_and_its_delay(silent: int, late: int) -> None:
    live: Any = SimpleNamespace(delay=128)
    found = hear(loop(silent, late), live, time.perf_counter() - 1.0)
    assert found["seconds"] == pytest.approx(1.0 + silent / RATE, abs=0.5)
    assert (found["delay"], found["told"]) == (late, 128)


def test_no_sound_is_said() -> None:
    live: Any = SimpleNamespace(delay=128)
    with pytest.raises(DeviceError, match="no sound came back within"):
        hear(loop(4 * RATE, 128), live, time.perf_counter())
