"""JACK's graph: its clients as devices, and the delay that each port is told.

JACK-Client covers JACK but for latency, which is called here by ctypes: `jack_set_latency_callback`
and its four companions in jack.h. Both use one library, that which JACK-Client loaded.
"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

from ...runtime.errors import DeviceError
from .devices import Device, Kind

# The name that PortAudio has for it.
HOST_API = "JACK Audio Connection Kit"

# How long a server may take to tell its rate.
_RATE_LIMIT_S = 0.3

# jack_latency_callback_mode_t: towards the sources of sound, or towards where it is heard.
CAPTURE, PLAYBACK = 0, 1

# One of our ports by its short name, such as "in_1", and another's by its full name.
Connection = tuple[str, str]


@dataclass(frozen=True)
class JackWiring:
    """How a client lies in the graph: all that has to be made again after a restart.

    `source` and `sink` are for people. A connection is here for as long as it is wanted, also
    while the other port does not exist.
    """

    source: str
    sink: str
    input_channels: int
    output_channels: int
    connections: tuple[Connection, ...] = ()


@dataclass(frozen=True)
class JackOptions:
    """`insert`: ports for others to connect, instead of devices. `client` is the name they carry.
    `wiring` is that of a stream before, which this one takes over. `tell` the graph our delay."""

    insert: bool = False
    client: str = "soloist"
    wiring: JackWiring | None = None
    tell: bool = True


def jack_module() -> ModuleType | None:
    """JACK-Client, or None where it or JACK's own library is not installed."""
    try:
        import jack
    except (ImportError, OSError):
        return None
    _hush(jack)
    module: ModuleType = jack
    return module


@cache
def _hush(jack: ModuleType) -> None:
    """Have JACK not print what it tries in vain: what matters is an exception, and told once."""
    jack.set_error_function(lambda _: None)
    jack.set_info_function(lambda _: None)


def on_pipewire() -> bool:
    """Whether JACK's library is PipeWire's, as `pw-jack` has it."""
    jack = jack_module()
    return jack is not None and "PipeWire" in jack.version_string()


def open_client(name: str) -> Any:
    """A client of the running server, not active yet. Raises DeviceError."""
    jack = jack_module()
    if jack is None:
        raise DeviceError(
            "JACK is missing: on Debian or Ubuntu run `sudo apt-get install jackd2`, or with "
            "PipeWire `sudo apt-get install pipewire-jack` and `pw-jack soloist live ...`"
        )
    if not 0 < len(name.encode()) < jack.client_name_size() or ":" in name:
        raise DeviceError(
            f"--client-name takes 1 to {jack.client_name_size() - 1} bytes without a colon, "
            f"found {name!r}"
        )
    try:
        return jack.Client(name, no_start_server=True)
    except jack.JackOpenError as error:
        raise DeviceError(
            "no JACK server is running: start one, or with PipeWire run `pw-jack soloist live ...`"
        ) from error


def rate_of(client: Any) -> int:
    """The server's rate in Hertz. `client` is active for a moment.

    PipeWire's may be another one than it says as long as nobody plays, and is told of then.
    """
    told, rate = threading.Event(), [int(client.samplerate)]

    def note(now: int) -> None:
        rate[0] = now
        told.set()

    client.set_samplerate_callback(note)
    client.activate()
    told.wait(_RATE_LIMIT_S)
    client.deactivate()
    return rate[0]


def client_of(port: str) -> str:
    """The client in a port's full name."""
    return port.partition(":")[0]


def clients(client: Any) -> list[Device]:
    """The others in the graph as devices: what a client sends is an input, as in PortAudio."""
    others = [port for port in client.get_ports(is_audio=True) if not client.owns(port)]
    sends = Counter(client_of(port.name) for port in others if port.is_output)
    takes = Counter(client_of(port.name) for port in others if port.is_input)
    names = dict.fromkeys(client_of(port.name) for port in others)
    return [
        Device(index, name, HOST_API, sends[name], takes[name], client.samplerate)
        for index, name in enumerate(names)
    ]


def ports_of(client: Any, kind: Kind, device: str) -> list[str]:
    """Full names of the ports that make `device` an input or an output, in their order."""
    sends = kind == "input"
    ports = client.get_ports(is_audio=True, is_output=sends, is_input=not sends)
    return [port.name for port in ports if client_of(port.name) == device]


class _Range(ctypes.Structure):
    _fields_ = (("min", ctypes.c_uint32), ("max", ctypes.c_uint32))


_LatencyCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)


class PortLatency:
    """Tells the graph that what leaves `outputs` is `delay()` frames later than what `inputs` got.

    Hosts compensate what they are told. Ports go by index; a single input feeds all outputs.
    `client` must not be active yet.
    """

    def __init__(
        self, client: Any, inputs: Sequence[Any], outputs: Sequence[Any], delay: Callable[[], int]
    ) -> None:
        jack = jack_module()
        assert jack is not None
        self._jack, self._library = jack, ctypes.CDLL(jack._libname)
        self._client = client
        self._delay = delay
        self._inputs, self._outputs = inputs, outputs
        self._told = -1
        # Kept, for JACK keeps its address.
        self._callback = _LatencyCallback(self._tell)
        self._library.jack_set_latency_callback(self._at(client), self._callback, None)

    def read(self, direction: Literal["in", "out"]) -> int:
        """Frames at most from the sources to the inputs, or from the outputs to where they end."""
        ports, mode = (self._inputs, CAPTURE) if direction == "in" else (self._outputs, PLAYBACK)
        return max(int(self._range(port, mode).max) for port in ports)

    def tend(self) -> None:
        """Let the whole graph be told again, if the delay is another one now. Main thread."""
        if self._told != self._delay():
            self._library.jack_recompute_total_latencies(self._at(self._client))

    def _tell(self, mode: int, _: object) -> None:
        """Pass the latency on in one of both directions. A thread of JACK's."""
        self._told = delay = self._delay()
        there, here = (self._inputs, self._outputs)[:: 1 if mode == CAPTURE else -1]
        for index, port in enumerate(here):
            feeding = there if 1 in (len(there), len(here)) else there[index : index + 1]
            ranges = [self._range(each, mode) for each in feeding]
            total = _Range(
                min(each.min for each in ranges) + delay, max(each.max for each in ranges) + delay
            )
            self._library.jack_port_set_latency_range(self._at(port), mode, ctypes.byref(total))

    def _range(self, port: Any, mode: int) -> _Range:
        found = _Range()
        self._library.jack_port_get_latency_range(self._at(port), mode, ctypes.byref(found))
        return found

    def _at(self, owner: Any) -> ctypes.c_void_p:
        """The address of a client or a port."""
        return ctypes.c_void_p(int(self._jack._ffi.cast("uintptr_t", owner._ptr)))
