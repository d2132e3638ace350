"""Which way audio takes between two devices: JACK's own where both are JACK's, else PortAudio's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..latency import Latency
from .budget import LatencyBudget, believable_frames
from .devices import (
    Device,
    channel_map,
    common_rate,
    explain,
    find_device,
    portaudio,
    preflight,
)
from .duplex import BridgedStream, Callback, open_duplex, pair
from .jack_graph import HOST_API, JackOptions, jack_module
from .jack_stream import JackRoute


class Route(Protocol):
    """Two ends and the way between them, chosen and not open.

    `pair` names both in a message. `block` is the frames of each block, 0 where nobody knows them
    before the first; where `sizes_vary`, a block of another size means that more sizes will follow.
    """

    source: str
    sink: str
    pair: str
    input_channels: int
    output_channels: int
    sample_rate: int
    block: int
    sizes_vary: bool

    def open(
        self,
        callback: Callback,
        fault: Callable[[Exception], None],
        offline: Callable[[bool], None],
        delay: Callable[[], int],
        max_block: int,
    ) -> Any: ...
    def start(self, stream: Any) -> None: ...
    def budget(self, stream: Any, processing: Latency, block: int) -> LatencyBudget: ...
    def tend(self, stream: Any) -> None: ...


class PortAudioRoute:
    """Through PortAudio: `open_duplex` and what surrounds it. Raises DeviceError as that does."""

    sizes_vary = True

    def __init__(
        self,
        source: Device,
        sink: Device,
        *,
        preferred_rate: int,
        sample_rate: int | None,
        block_size: int,
        channels: int | None,
        latency: str | float,
    ) -> None:
        self._source, self._sink = source, sink
        self.source, self.sink = source.label, sink.label
        self.pair = pair(self.source, self.sink)
        self.input_channels, self.output_channels = channel_map(source, sink, channels)
        opened = (self.input_channels, self.output_channels)
        if sample_rate is None:
            self.sample_rate = common_rate(source, sink, preferred_rate, *opened)
        else:
            self.sample_rate = sample_rate
            preflight(source, sink, sample_rate, *opened)
        self.block = block_size
        self._latency = latency

    def open(
        self,
        callback: Callback,
        fault: Callable[[Exception], None],
        offline: Callable[[bool], None],
        delay: Callable[[], int],
        max_block: int,
    ) -> Any:
        """The stream, not started. PortAudio tells nobody of freewheeling, nor of a delay."""
        return open_duplex(
            self._source,
            self._sink,
            callback,
            fault,
            channels=(self.input_channels, self.output_channels),
            sample_rate=self.sample_rate,
            block_size=self.block,
            max_block=max_block,
            latency=self._latency,
        )

    def start(self, stream: Any) -> None:
        """Let the callbacks come. Raises DeviceError where the devices refuse."""
        try:
            stream.start()
        except portaudio().PortAudioError as error:
            raise explain(error, self.pair, self.sample_rate, self._source, self._sink) from error

    def budget(self, stream: Any, processing: Latency, block: int) -> LatencyBudget:
        """The delay of a running stream with blocks of so many frames."""
        into, out = stream.latency
        return LatencyBudget(
            processing,
            block,
            believable_frames(into, self.sample_rate),
            believable_frames(out, self.sample_rate),
            stream.bridge.latency if isinstance(stream, BridgedStream) else None,
        )

    def tend(self, stream: Any) -> None:
        """Nothing: what PortAudio's streams need, their callbacks do."""


def find_route(
    input_device: int | str | None,
    output_device: int | str | None,
    *,
    jack: JackOptions,
    preferred_rate: int,
    sample_rate: int | None,
    block_size: int,
    channels: int | None,
    latency: str | float,
    exclusive: bool,
) -> Route:
    """The way between two devices, as `LiveStream` takes them. Raises DeviceError."""
    if not jack.insert and jack.wiring is None:
        source = find_device("input", input_device, exclusive=exclusive)
        sink = find_device("output", output_device, exclusive=exclusive)
        if not source.host_api == sink.host_api == HOST_API or jack_module() is None:
            return PortAudioRoute(
                source,
                sink,
                preferred_rate=preferred_rate,
                sample_rate=sample_rate,
                block_size=block_size,
                channels=channels,
                latency=latency,
            )
        # What PortAudio lists of JACK are its clients, by their own names.
        input_device, output_device = source.name, sink.name
    return JackRoute(
        jack,
        input_device,
        output_device,
        sample_rate=sample_rate,
        block_size=block_size,
        channels=channels,
    )
