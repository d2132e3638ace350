"""Devices without hardware: what live play needs of a sound system, for tests and benchmarks.

    wire = SimulatedDevice("wire", play=fill_a_block, hear=look_at_a_block)
    with instead_of_portaudio(Simulation([wire])):
        stream = LiveStream(processor, "wire", "wire")

A stream's callbacks come from a thread of its own, one block after the other as a driver calls
them: when its time has come, or, of a device that is not `paced`, as soon as the one before is
done, which plays a night in minutes. Nothing is lost and nothing is flagged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Callback = Callable[[Audio, Audio, int, Any, Any], None]

# A thread whose blocks need not wait for their time may go before all others, which would never
# have a turn: so often it rests, for so long.
_BUSY_S, _REST_S = 1e-3, 1e-4


class PortAudioError(Exception):
    """As of `sounddevice`: a text and PortAudio's number."""


def silence(block: Audio) -> None:
    """What a device plays, or hears of others, unless told otherwise."""
    block.fill(0.0)


@dataclass(frozen=True)
class SimulatedDevice:
    """A device with as many inputs as outputs that has its own rate (Hz) and block (frames) only.

    `play(block)` fills what comes in, `hear(block)` gets what goes out; both (frames, channels)
    float32, on the thread of the callbacks. The array is good until they return.
    """

    name: str
    play: Callable[[Audio], None] = silence
    hear: Callable[[Audio], None] = silence
    channels: int = 1
    block: int = 128
    sample_rate: int = 48_000
    paced: bool = False


class Simulation:
    """The face of `sounddevice` over simulated devices, the first of which is the default."""

    PortAudioError = PortAudioError

    def __init__(self, devices: Sequence[SimulatedDevice]) -> None:
        self._devices = tuple(devices)

    def query_hostapis(self) -> list[dict[str, Any]]:
        """The one host API."""
        return [{"name": "Simulation"}]

    def query_devices(self, kind: str | None = None) -> Any:
        """All devices, or the default one of a kind."""
        found = [
            {
                "name": device.name,
                "index": index,
                "hostapi": 0,
                "max_input_channels": device.channels,
                "max_output_channels": device.channels,
                "default_samplerate": float(device.sample_rate),
            }
            for index, device in enumerate(self._devices)
        ]
        return found[0] if kind else found

    def check_input_settings(self, device: int, *, samplerate: float, **_: Any) -> None:
        """Raises `PortAudioError` for a rate that the device does not have."""
        if samplerate != self._devices[device].sample_rate:
            raise PortAudioError("Invalid sample rate", -9997)

    check_output_settings = check_input_settings

    def Stream(
        self, *, device: tuple[int, int], channels: tuple[int, int], callback: Callback, **_: Any
    ) -> SimulatedStream:
        """From one device to another, by the clock of the first."""
        source, sink = (self._devices[index] for index in device)
        return SimulatedStream(source, sink, channels, callback)

    def InputStream(
        self, *, device: int, channels: int, callback: Callable[..., None], **_: Any
    ) -> SimulatedStream:
        """From a device; `callback` lacks the output."""
        source = replace(self._devices[device], hear=silence)
        return _Half(source, (channels, 1), lambda given, _, *rest: callback(given, *rest))

    def OutputStream(
        self, *, device: int, channels: int, callback: Callable[..., None], **_: Any
    ) -> SimulatedStream:
        """To a device; `callback` lacks the input."""
        sink = replace(self._devices[device], play=silence)
        return _Half(sink, (1, channels), lambda _, out, *rest: callback(out, *rest))


class SimulatedStream:
    """`start` lets callbacks come, `stop` waits for the last one."""

    latency: Any = (0.0, 0.0)

    def __init__(
        self,
        source: SimulatedDevice,
        sink: SimulatedDevice,
        channels: tuple[int, int],
        callback: Callback,
    ) -> None:
        self._source, self._sink = source, sink
        self._channels, self._callback = channels, callback
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.active = False

    def start(self) -> None:
        """Once."""
        self.active = True
        self._thread.start()

    def stop(self) -> None:
        """Idempotent, also before `start`."""
        self.active = False
        if self._thread.is_alive():
            self._thread.join()

    def close(self) -> None:
        """Nothing is held."""

    def _run(self) -> None:
        frames, rate = self._source.block, self._source.sample_rate
        given, out = (np.zeros((frames, channels), np.float32) for channels in self._channels)
        due = rested = time.perf_counter()
        while self.active:
            self._source.play(given)
            self._callback(given, out, frames, None, None)
            self._sink.hear(out)
            if self._source.paced:
                due += frames / rate
                time.sleep(max(0.0, due - time.perf_counter()))
            elif time.perf_counter() - rested > _BUSY_S:
                time.sleep(_REST_S)
                rested = time.perf_counter()


class _Half(SimulatedStream):
    latency = 0.0

    def __init__(
        self, device: SimulatedDevice, channels: tuple[int, int], callback: Callback
    ) -> None:
        super().__init__(device, device, channels, callback)
