"""A live stream plays between simulated devices as between others."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.errors import DeviceError
from soloist.runtime.session import PassThroughSession
from soloist.streaming.live.devices import instead_of_portaudio, list_devices, portaudio, preflight
from soloist.streaming.live.simulation import SimulatedDevice, Simulation
from soloist.streaming.live.stream import LiveStream
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]


class Ends:
    """Plays noise and keeps what it hears of the first `frames`."""

    def __init__(self, frames: int, channels: int) -> None:
        rng = np.random.default_rng(11)
        self.given = rng.uniform(-0.4, 0.4, (frames, channels)).astype(np.float32)
        self.heard = np.zeros_like(self.given)
        self.done = threading.Event()
        self._played = self._heard = 0

    def play(self, block: Audio) -> None:
        part = self.given[self._played : self._played + len(block)]
        block.fill(0.0)
        block[: len(part)] = part
        self._played += len(block)

    def hear(self, block: Audio) -> None:
        part = self.heard[self._heard : self._heard + len(block)]
        part[:] = block[: len(part)]
        self._heard += len(block)
        if self._heard >= len(self.heard):
            self.done.set()


@pytest.fixture
def stream(toy_bundle: Callable[..., Any]) -> Callable[..., LiveStream]:
    """A stream whose stems are the input, so that it hears what it plays, later."""

    def make(*devices: str, channels: int) -> LiveStream:
        session = PassThroughSession(toy_bundle().spec, channels=channels)
        return LiveStream(Processor(session), *devices, wait=True)

    return make


@pytest.mark.parametrize(("block", "channels"), [(128, 1), (96, 2), (480, 1)])
def test_what_is_played_is_heard_as_late_as_promised(
    stream: Callable[..., LiveStream], block: int, channels: int
) -> None:
    ends = Ends(48_000, channels)
    wire = SimulatedDevice("wire", ends.play, ends.hear, channels, block)
    with instead_of_portaudio(Simulation([wire])):
        live = stream(channels=channels)
        live.start()
        assert ends.done.wait(60)
        live.check()
        assert live.stop()
    delay = live.processor.latency_samples
    assert delay == 2 * 128 - int(np.gcd(128, block))
    # Within rounding: the transforms are float32.
    assert np.abs(ends.heard[delay:] - ends.given[:-delay]).max() < 1e-6


def test_a_paced_device_keeps_time(stream: Callable[..., LiveStream]) -> None:
    """Not faster than the clock; as for slower, machines stall."""
    ends = Ends(4800, 1)
    with instead_of_portaudio(Simulation([SimulatedDevice("a", ends.play, ends.hear, paced=True)])):
        live = stream(channels=1)
        began = time.monotonic()
        live.start()
        assert ends.done.wait(60)
        live.stop()
    assert time.monotonic() - began > 0.095


def test_two_devices_have_two_threads_and_a_bridge(stream: Callable[..., LiveStream]) -> None:
    ends = Ends(9600, 1)
    devices = [
        SimulatedDevice("desk", play=ends.play, paced=True),
        SimulatedDevice("mic", hear=ends.hear, paced=True, block=192),
    ]
    with instead_of_portaudio(Simulation(devices)):
        live = stream("desk", "mic", channels=1)
        live.start()
        assert "clock bridge" in str(live.latency)
        assert ends.done.wait(60)
        live.stop()
    assert np.abs(ends.heard).max() > 0.1


def test_devices_are_listed_and_refuse_other_rates() -> None:
    devices = [SimulatedDevice("desk", channels=2, sample_rate=44_100), SimulatedDevice("mic")]
    with instead_of_portaudio(Simulation(devices)):
        desk, mic = list_devices()
        assert desk.label == "desk, Simulation" and desk.default_input and desk.default_output
        assert (mic.input_channels, mic.sample_rate) == (1, 48_000.0)
        with pytest.raises(DeviceError, match=r"does not run at 48000 Hz \(it offers 44100 Hz\)"):
            preflight(desk, mic, 48_000, 1, 1)
        inside = portaudio()
    assert portaudio() is not inside
