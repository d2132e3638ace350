"""A client of JACK's own, for sources and sinks that are JACK's: PortAudio is not involved.

What that gains over PortAudio's way into JACK: ports with names of ours, which stay; a way to have
no device at all and leave the connections to a patchbay or a DAW; the graph is told the latency, so
that hosts compensate it; each freewheeling cycle is computed, however long that takes; and a server
that dies is noticed at once and can be left behind, where PortAudio hangs.

The server alone decides on rate and block size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...runtime.errors import DeviceError, DeviceLost
from ..latency import Latency
from .budget import LatencyBudget
from .devices import Device, channel_map, choose_device
from .duplex import Callback, pair
from .jack_connections import Connections
from .jack_graph import (
    HOST_API,
    JackOptions,
    JackWiring,
    PortLatency,
    clients,
    jack_module,
    open_client,
    ports_of,
    rate_of,
)

# A client that leaves while the graph freewheels makes jackd 1.9.21 spin for ever.
_FREEWHEEL_LIMIT_S = 2.0


class JackRoute:
    """The way through JACK from what `input_device` sends to what `output_device` takes.

    With `options.insert` either may be None: then nothing is connected to that side. Devices are
    clients, by words of their names. Opens a client, which `open` makes a stream of. `sample_rate`
    and `block_size` are what was asked for, None and 0 for whatever the server has.

    Raises DeviceError where no server runs, or it does not have what was asked for.
    """

    # A period is one size until the server's next change of all periods.
    sizes_vary = False

    def __init__(
        self,
        options: JackOptions,
        input_device: int | str | None,
        output_device: int | str | None,
        *,
        sample_rate: int | None,
        block_size: int,
        channels: int | None,
    ) -> None:
        self._client = client = open_client(options.client)
        self._tell = options.tell
        try:
            self._choose(options, input_device, output_device, channels)
            self._compare(sample_rate, block_size)
        except DeviceError:
            client.close()
            raise

    def _choose(
        self,
        options: JackOptions,
        input_device: int | str | None,
        output_device: int | str | None,
        channels: int | None,
    ) -> None:
        client = self._client
        self.wiring = options.wiring or _wire(client, input_device, output_device, channels)
        self.source, self.sink = self.wiring.source, self.wiring.sink
        self.pair = pair(self.source, self.sink)
        self.input_channels = self.wiring.input_channels
        self.output_channels = self.wiring.output_channels
        self.sample_rate, self.block = rate_of(client), int(client.blocksize)

    def _compare(self, sample_rate: int | None, block_size: int) -> None:
        """What was asked for with what the server has."""
        if sample_rate not in (None, self.sample_rate):
            raise DeviceError(
                f"{self.pair} does not run at {sample_rate} Hz (JACK's server runs at "
                f"{self.sample_rate} Hz): leave --sample-rate out, or restart the server"
            )
        if block_size not in (0, self.block):
            raise DeviceError(
                f"--block-size: JACK's server decides, and has {self.block} frames: leave it out, "
                f"or change the server's with `jack_bufsize {block_size}`"
            )

    def open(
        self,
        callback: Callback,
        fault: Callable[[Exception], None],
        offline: Callable[[bool], None],
        delay: Callable[[], int],
        max_block: int,
    ) -> JackStream:
        """The stream, not started; see there."""
        return JackStream(
            self._client,
            self.wiring,
            self.sample_rate,
            callback,
            fault,
            offline,
            delay if self._tell else lambda: 0,
            max_block,
        )

    def start(self, stream: JackStream) -> None:
        """Let the callbacks come. Raises DeviceError where the server refuses."""
        jack = jack_module()
        assert jack is not None
        try:
            stream.start()
        except jack.JackError as error:
            raise DeviceError(f"{self.pair} cannot be opened: JACK says {error}") from error

    def budget(self, stream: JackStream, processing: Latency, _: int) -> LatencyBudget:
        """The stream's delay. JACK counts the block that is collected among the source's."""
        into, out = stream.latency
        return LatencyBudget(processing, 0, into, out)

    def tend(self, stream: JackStream) -> None:
        """What the main thread has to do a few times a second. Raises DeviceLost."""
        if stream.lost:
            raise DeviceLost(f"audio device lost: {self.pair}: {stream.lost}")
        stream.tend()


def _wire(
    client: Any,
    input_device: int | str | None,
    output_device: int | str | None,
    channels: int | None,
) -> JackWiring:
    """Ports and connections for two of the graph's clients, or None for a side to be left open."""
    there = clients(client)
    free = Device(-1, client.name, HOST_API, channels or 2, channels or 2, client.samplerate)
    source = free if input_device is None else choose_device(there, "input", input_device)
    sink = free if output_device is None else choose_device(there, "output", output_device)
    inputs, outputs = channel_map(source, sink, channels)
    connections: list[tuple[str, str]] = []
    if source is not free:
        names = ports_of(client, "input", source.name)[:inputs]
        connections += [(f"in_{number}", name) for number, name in enumerate(names, 1)]
    if sink is not free:
        names = ports_of(client, "output", sink.name)[:outputs]
        connections += [(f"out_{number}", name) for number, name in enumerate(names, 1)]
    return JackWiring(
        f"{client.name}:in_*, {HOST_API}" if source is free else source.label,
        f"{client.name}:out_*, {HOST_API}" if sink is free else sink.label,
        inputs,
        outputs,
        tuple(connections),
    )


class JackStream:
    """A stream as `open_duplex` has them, at `sample_rate` Hertz, made of a `client` without ports.

    `callback` gets each block, `fault` an exception outside of it. `offline` is told when the graph
    begins to freewheel, before the first such block, and when it ends. `delay()` is the latency
    that the graph is told, in frames. Blocks beyond `max_block` frames are silence.
    """

    def __init__(
        self,
        client: Any,
        wiring: JackWiring,
        sample_rate: int,
        callback: Callback,
        fault: Callable[[Exception], None],
        offline: Callable[[bool], None],
        delay: Callable[[], int],
        max_block: int,
    ) -> None:
        self.lost = ""  # why, once it is
        self.active = False
        self._client = client
        self._callback, self._fault, self._offline = callback, fault, offline
        count, width = wiring.input_channels, wiring.output_channels
        self._inputs = [client.inports.register(f"in_{n + 1}") for n in range(count)]
        self._outputs = [client.outports.register(f"out_{n + 1}") for n in range(width)]
        self._heard = np.zeros((max_block, count), np.float32)
        self._played = np.zeros((max_block, width), np.float32)
        self._rate = sample_rate
        self._freewheeling = False
        self._xruns = self._xruns_passed_on = 0
        self._due: int | None = None  # the frame of JACK's clock at which the next block begins
        self._connections = Connections(client, wiring.connections)
        self._latency = PortLatency(client, self._inputs, self._outputs, delay)
        client.set_process_callback(self._cycle)
        client.set_xrun_callback(self._count_xrun)
        client.set_freewheel_callback(self._freewheel)
        client.set_samplerate_callback(self._compare_rate)
        client.set_shutdown_callback(self._end)

    @property
    def connections(self) -> tuple[tuple[str, str], ...]:
        """Those that there are or should be, for another stream to take over."""
        return self._connections.wanted

    @property
    def loose(self) -> tuple[str, ...]:
        """Short names of the ports of a side, or both, that nothing is connected to."""
        return self._connections.loose

    @property
    def latency(self) -> tuple[int, int]:
        """Frames from the sources to our inputs, and from our outputs to where they are heard."""
        return self._latency.read("in"), self._latency.read("out")

    def start(self) -> None:
        """Let the callbacks come, and connect."""
        self._client.activate()
        self.active = not self.lost
        self._connections.tend()

    def tend(self) -> None:
        """Connect what can be connected again, and tell the graph a new latency. Main thread."""
        self._connections.tend()
        self._latency.tend()

    def stop(self) -> None:
        """End the callbacks; waits a while for a freewheeling graph."""
        deadline = time.monotonic() + _FREEWHEEL_LIMIT_S
        while self._freewheeling and not self.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        self.active = False
        self._client.deactivate()

    def close(self) -> None:
        """Leave the server."""
        self._client.close()

    def _cycle(self, frames: int) -> None:
        """A block. JACK's audio thread: raises and prints nothing."""
        try:
            if self.lost or frames > len(self._heard):
                self._silence()
                return
            begins = self._client.last_frame_time
            xruns = self._xruns
            lost = begins != self._due and self._due is not None
            flags = "xrun" if lost or xruns != self._xruns_passed_on else None
            self._due, self._xruns_passed_on = (begins + frames) % (1 << 32), xruns
            heard, played = self._heard[:frames], self._played[:frames]
            for channel, port in enumerate(self._inputs):
                heard[:, channel] = port.get_array()
            self._callback(heard, played, frames, None, flags)
            for channel, port in enumerate(self._outputs):
                port.get_array()[:] = played[:, channel]
        except Exception as fault:
            self._silence()
            self._fault(fault)

    def _silence(self) -> None:
        for port in self._outputs:
            port.get_array().fill(0.0)

    # Threads of JACK's, in which the server must not be asked for anything.

    def _count_xrun(self, _: float) -> None:
        self._xruns += 1

    def _freewheel(self, starts: bool) -> None:
        self._freewheeling = starts
        self._offline(starts)

    def _compare_rate(self, rate: int) -> None:
        if rate != self._rate:
            self.lost = f"JACK's server now runs at {rate} Hz instead of {self._rate} Hz"

    def _end(self, _: object, reason: str) -> None:
        self.active = False
        self.lost = self.lost or f"{reason}; is it running?"
