"""Audio between two clocks: what comes out, when, and what happens where one of them pauses."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.streaming.live.clock_bridge import ClockBridge

RATE, BLOCK, MARGIN = 48_000, 128, 96
PERIOD = BLOCK * 1_000_000_000 // RATE

Audio = NDArray[np.float32]


class Wire:
    """A bridge with a writer and a reader in turn, both of BLOCK, neither late."""

    def __init__(self, source: Callable[[int], Audio], channels: int = 1) -> None:
        self.bridge = ClockBridge(RATE, channels, 1024, MARGIN)
        self.source, self.channels = source, channels
        self.now = self.sent = 0

    def write(self, wait: int = PERIOD // 2) -> None:
        self.now += wait
        at = self.sent
        self.bridge.write(self.source(at).reshape(BLOCK, self.channels), self.now)
        self.sent += BLOCK

    def read(self) -> Audio:
        self.now += PERIOD - PERIOD // 2
        out = np.full((BLOCK, self.channels), np.nan, np.float32)
        self.bridge.read(out, self.now)
        return out

    def turns(self, count: int) -> Audio:
        parts = []
        for _ in range(count):
            self.write()
            parts.append(self.read())
        return np.concatenate(parts)


def sine(at: int) -> Audio:
    audio: Audio = np.sin(2 * np.pi / 48 * np.arange(at, at + BLOCK)).astype(np.float32)
    return audio


def first_sound(audio: Audio) -> int:
    return int(np.argmax(np.abs(audio[:, 0]) > 0.01))


def test_delay_is_what_is_reported() -> None:
    """An impulse, and the two clocks as one: the sample comes as much later as it is said to."""

    def impulse(at: int) -> Audio:
        audio = np.zeros(BLOCK, np.float32)
        if at <= 100 * BLOCK + 17 < at + BLOCK:
            audio[100 * BLOCK + 17 - at] = 1.0
        return audio

    wire = Wire(impulse)
    heard = wire.turns(200)
    # Output block k is read half a period after input block k came, that is when sample
    # (k + 1.5) · BLOCK of the input is in the air.
    expected = 100 * BLOCK + 17 + wire.bridge.latency.total - 1.5 * BLOCK
    assert np.argmax(heard[:, 0]) == pytest.approx(expected, abs=1)
    assert dict(wire.bridge.latency.parts) == {
        "block collected": BLOCK,
        "clock bridge": BLOCK + MARGIN,
        "resampler": wire.bridge.latency.parts[2][1],
    }
    assert 15 < wire.bridge.latency.parts[2][1] < 30
    assert (wire.bridge.underruns, wire.bridge.overruns) == (0, 0)


def test_channels_stay_apart() -> None:
    wire = Wire(lambda at: np.stack([sine(at), -0.5 * sine(at)], axis=1), channels=2)
    heard = wire.turns(100)[20 * BLOCK :]
    np.testing.assert_allclose(heard[:, 1], -0.5 * heard[:, 0], atol=1e-6)
    assert np.max(heard) == pytest.approx(1.0, abs=1e-3)


def test_silence_until_there_is_enough() -> None:
    wire = Wire(sine)
    assert not wire.read().any()
    assert not wire.read().any()
    heard = wire.turns(10)
    begun = first_sound(heard)
    assert 0 < begun < wire.bridge.latency.total + BLOCK
    assert wire.bridge.underruns == 0


@pytest.mark.parametrize("pause", [4, 40, 4000])
def test_an_input_that_pauses(pause: int) -> None:
    """Silence, one underrun, nothing twice, and then the delay of before."""
    wire = Wire(lambda at: np.arange(at + 1, at + BLOCK + 1, dtype=np.float32))
    wire.turns(50)
    parts = []
    for _ in range(pause):
        wire.now += PERIOD // 2
        parts.append(wire.read())
    gap = np.concatenate(parts)
    after = wire.turns(50)
    bridge = wire.bridge
    assert (bridge.underruns, bridge.overruns) == (1, 0)
    assert not gap[-BLOCK:].any()
    heard = np.concatenate([gap, after])[:, 0]
    heard = heard[heard > 100]
    # Rising throughout, but for the filter's ringing where sound begins anew.
    edges = np.flatnonzero(np.diff(heard) <= 0)
    assert len(edges) == 0 or edges.max() - edges.min() < 60
    assert after[-1, 0] == pytest.approx(wire.sent + 1.5 * BLOCK - bridge.latency.total, abs=4)


def test_an_input_that_comes_late() -> None:
    """Three blocks come at once: silence while they are missing, and nothing is late after it."""
    wire = Wire(lambda at: np.arange(at + 1, at + BLOCK + 1, dtype=np.float32))
    wire.turns(50)
    for _ in range(3):
        wire.now += PERIOD // 2
        missing = wire.read()
    assert not missing.any()
    wire.write()
    for _ in range(3):
        wire.write(wait=0)
    heard = wire.read()
    assert heard[-1, 0] == pytest.approx(wire.sent + 1.5 * BLOCK - wire.bridge.latency.total, abs=1)
    assert (wire.bridge.underruns, wire.bridge.overruns) == (1, 0)
    assert abs(wire.bridge.speed) < 20e-6


@pytest.mark.parametrize("pause", [3, 300])
def test_an_output_that_pauses(pause: int) -> None:
    """What was not played in time is left out, and the delay is that of before."""
    wire = Wire(lambda at: np.arange(at + 1, at + BLOCK + 1, dtype=np.float32))
    wire.turns(50)
    for _ in range(pause):
        wire.write()
        wire.now += PERIOD - PERIOD // 2
    after = wire.turns(150)  # 0.4 s
    bridge = wire.bridge
    assert (bridge.underruns, bridge.overruns) == (0, 1)
    assert after[-1, 0] == pytest.approx(wire.sent + 1.5 * BLOCK - bridge.latency.total, abs=4)


def test_longer_blocks_get_a_longer_delay_once() -> None:
    wire = Wire(sine)
    wire.turns(50)
    before = wire.bridge.latency.total
    out = np.zeros((3 * BLOCK, 1), np.float32)
    for _ in range(3):
        wire.write()
        wire.now += PERIOD - PERIOD // 2
    wire.bridge.read(out, wire.now)
    assert wire.bridge.latency.total == before + 2 * BLOCK
    wire.turns(50)
    assert wire.bridge.latency.total == before + 2 * BLOCK
    assert (wire.bridge.underruns, wire.bridge.overruns) == (0, 0)


def test_two_threads() -> None:
    """One is up to four blocks ahead of the other, on computed clocks: both channels stay alike."""
    bridge = ClockBridge(RATE, 2, 1024, MARGIN)
    rng = np.random.default_rng(1)
    heard: list[Audio] = []
    room, there = threading.Semaphore(4), threading.Semaphore(0)

    def write() -> None:
        for block in range(2000):
            room.acquire()
            noise = rng.uniform(-0.5, 0.5, (BLOCK, 1)).astype(np.float32)
            bridge.write(np.repeat(noise, 2, axis=1), (block + 1) * PERIOD)
            there.release()

    writer = threading.Thread(target=write)
    writer.start()
    for block in range(2000):
        there.acquire()
        heard.append(np.empty((BLOCK, 2), np.float32))
        bridge.read(heard[-1], (block + 1) * PERIOD + PERIOD // 2)
        room.release()
    writer.join()
    audio = np.concatenate(heard)[20 * BLOCK :]
    assert (bridge.underruns, bridge.overruns) == (0, 0)
    assert np.mean(audio**2) == pytest.approx(1 / 12, rel=0.25)
    np.testing.assert_array_equal(audio[:, 0], audio[:, 1])
