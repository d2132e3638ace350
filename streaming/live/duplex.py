"""An input and an output device at work together: one stream on one clock, two streams on two.

PortAudio's full duplex on two devices leaves it to the driver what becomes of their clocks'
disagreement: at 100 ppm a block of 128 too many or too few every 27 s, which is a click. So such
devices get a stream each, and a `ClockBridge` between the two callbacks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clock_bridge import ClockBridge
from .devices import Device, driver_settings, explain, portaudio
from .jack_graph import HOST_API

Audio = NDArray[np.float32]
# input (frames, channels), output (frames, channels), frames, PortAudio's times, its flags
Callback = Callable[[Audio, Audio, int, Any, Any], None]

# By how much callbacks may be late; as for PortAudio's own buffers, seconds may be asked for.
_MARGINS_S = {"low": 0.002, "high": 0.020}
# Without input for so long there is no audio any more, though the output may still ask for some.
_STALLED_S = 0.5


def open_duplex(
    source: Device,
    sink: Device,
    callback: Callback,
    fault: Callable[[Exception], None],
    *,
    channels: tuple[int, int],
    sample_rate: int,
    block_size: int,
    max_block: int,
    latency: str | float,
) -> Any:
    """The devices, open and not started, with what `sounddevice.Stream` has: `start`, `stop`,
    `close`, `active`, `latency`. A `BridgedStream` where they have two clocks.

    `callback` gets each block; `fault` an exception outside of it. Raises DeviceError.
    """
    sounddevice = portaudio()
    settings = {
        "samplerate": sample_rate,
        "blocksize": block_size,
        "dtype": "float32",
        "latency": latency,
    }
    if not one_clock(source, sink):
        bridge = ClockBridge(
            sample_rate, channels[0], max_block, round(_margin_s(latency) * sample_rate)
        )
        return BridgedStream(source, sink, channels, settings, bridge, callback, fault)
    try:
        return sounddevice.Stream(
            device=(source.index, sink.index),
            channels=channels,
            callback=callback,
            extra_settings=(driver_settings(source), driver_settings(sink)),
            **settings,
        )
    except sounddevice.PortAudioError as error:
        raise explain(error, pair(source.label, sink.label), sample_rate, source, sink) from error


def one_clock(source: Device, sink: Device) -> bool:
    """Whether the two are sure to count the same samples in the same time.

    All of JACK's do, the server's.
    """
    return source.index == sink.index or source.host_api == sink.host_api == HOST_API


def pair(source: str, sink: str) -> str:
    """Two devices in a message, by their labels."""
    return f"input {source!r} with output {sink!r}"


class BridgedStream:
    """Two streams that look like one, driven by the output's callback.

    `settings` are those that both `sounddevice` streams take. The flags that `callback` gets are
    those of either device, or say that the bridge had too little or too much.
    """

    def __init__(
        self,
        source: Device,
        sink: Device,
        channels: tuple[int, int],
        settings: dict[str, Any],
        bridge: ClockBridge,
        callback: Callback,
        fault: Callable[[Exception], None],
    ) -> None:
        self.bridge = bridge
        self._callback, self._fault = callback, fault
        self._audio = np.zeros((bridge.max_block, channels[0]), np.float32)
        self._flags: Any = None  # of the input, which the output's callback passes on
        self._slips = 0
        self._captured_ns: int | None = None
        sounddevice = portaudio()
        self._streams: list[Any] = []
        for open_, kind, device, width, called in (
            (sounddevice.InputStream, "input", source, channels[0], self._capture),
            (sounddevice.OutputStream, "output", sink, channels[1], self._play),
        ):
            try:
                self._streams.append(
                    open_(
                        device=device.index,
                        channels=width,
                        callback=called,
                        extra_settings=driver_settings(device),
                        **settings,
                    )
                )
            except sounddevice.PortAudioError as error:
                self.close()
                rate = settings["samplerate"]
                raise explain(error, f"{kind} {device.label!r}", rate, device) from error

    @property
    def active(self) -> bool:
        """Whether PortAudio says that both are."""
        return all(stream.active for stream in self._streams)

    @property
    def latency(self) -> tuple[float, float]:
        """What the drivers say of input and output, in seconds."""
        source, sink = self._streams
        return source.latency, sink.latency

    def start(self) -> None:
        """Let the callbacks come."""
        for stream in self._streams:
            stream.start()

    def stop(self) -> None:
        """Wait for the callbacks to end, the output's first."""
        for stream in reversed(self._streams):
            stream.stop()

    def close(self) -> None:
        """Give the devices back."""
        for stream in reversed(self._streams):
            stream.close()

    def _capture(self, indata: Audio, frames: int, _: Any, status: Any) -> None:
        """A block of input. The input's thread: raises and prints nothing."""
        now = time.perf_counter_ns()
        if status:
            self._flags = status
        try:
            self.bridge.write(indata, now)
        except Exception as fault:
            self._fault(fault)
        self._captured_ns = now

    def _play(self, outdata: Audio, frames: int, times: Any, status: Any) -> None:
        """A block of output. The output's thread: raises and prints nothing."""
        now = time.perf_counter_ns()
        captured = self._captured_ns
        if captured is None or now - captured > _STALLED_S * 1e9:
            outdata.fill(0.0)  # and whoever waits for blocks sees that there are none
            return
        bridge, audio = self.bridge, self._audio[:frames]
        try:
            bridge.read(audio, now)
        except Exception as fault:
            audio.fill(0.0)
            self._fault(fault)
        slips = bridge.underruns + bridge.overruns
        flags = status or self._flags or ("between two clocks" if slips > self._slips else None)
        self._flags, self._slips = None, slips
        self._callback(audio, outdata, frames, times, flags)


def close(stream: Any) -> None:
    """Stop and close what `open_duplex` gave, or None. May hang, with PortAudio."""
    if stream is None:
        return
    with contextlib.suppress(Exception):  # already gone: there is nothing left to close
        stream.stop()
        stream.close()


def _margin_s(latency: str | float) -> float:
    seconds = _MARGINS_S[latency] if isinstance(latency, str) else latency
    return max(seconds, _MARGINS_S["low"])
