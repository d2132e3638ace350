"""Connections of our JACK ports, kept as a person made them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from .jack_graph import Connection, jack_module

# A program that ends takes its connections apart first, as a person does, and its ports a moment
# later.
_LEAVING_S = 0.5


class Connections:
    """What our ports are, and are to be, connected to.

    A connection that a person makes, in whatever patchbay, is remembered; one that a person takes
    apart is forgotten, half a second later. One that ended because the other port did, with its
    program or its server, is remembered, and made again as soon as a port of that name is there.
    `wanted` are those to begin with.

    JACK tells of changes on a thread of its own, where nothing may be asked of the server; what has
    to be done about them is done by `tend` on the main thread, a few times a second. `client` must
    not be active yet.
    """

    def __init__(self, client: Any, wanted: Iterable[Connection] = ()) -> None:
        jack = jack_module()
        assert jack is not None
        self._client, self._error = client, jack.JackError
        self._made: set[Connection] = set()
        self._missing = dict.fromkeys(wanted)
        self._parted: dict[Connection, float] = {}  # and when
        self._gone: deque[str] = deque()  # ports that ended, or began anew
        self._changed = True
        client.set_port_connect_callback(self._connected, only_available=False)
        client.set_port_registration_callback(self._registered, only_available=False)

    @property
    def wanted(self) -> tuple[Connection, ...]:
        """All that there are, and those that wait for a port."""
        return tuple(sorted({*self._made, *self._missing, *self._parted}))

    @property
    def loose(self) -> tuple[str, ...]:
        """Short names of the inputs if none of them is connected, and so of the outputs."""
        ours = {port for port, _ in self._made}
        sides = [
            [port.shortname for port in ports]
            for ports in (self._client.inports, self._client.outports)
        ]
        return tuple(name for names in sides if ours.isdisjoint(names) for name in names)

    def tend(self) -> None:
        """Note what was connected, and connect what can be again. Main thread."""
        if not (self._changed or self._parted):
            return
        self._changed = False  # before looking: what changes meanwhile is for the next time
        try:
            self._compare()
        except self._error:  # a port ended while it was looked at
            self._changed = True

    def _compare(self) -> None:
        gone = {self._gone.popleft() for _ in range(len(self._gone))}
        there = {port.name for port in self._client.get_ports(is_audio=True)}
        found = set(self._found())
        now = time.monotonic()
        self._parted |= dict.fromkeys(self._made - found, now)
        for connection, since in list(self._parted.items()):
            ended = connection[1] in gone or connection[1] not in there
            if ended or connection in found or now - since > _LEAVING_S:
                del self._parted[connection]
            if ended:
                self._missing[connection] = None
        self._made = found
        for connection in list(self._missing):
            if connection in found:
                del self._missing[connection]
            elif connection[1] in there and self._connect(*connection):
                del self._missing[connection]
                self._made.add(connection)

    def _found(self) -> Iterable[Connection]:
        for port in (*self._client.inports, *self._client.outports):
            for other in self._client.get_all_connections(port):
                yield port.shortname, other.name

    def _connect(self, port: str, other: str) -> bool:
        """Whether it could be connected; if not, the next change is another occasion."""
        sends = any(port == own.shortname for own in self._client.outports)
        ours = f"{self._client.name}:{port}"
        try:
            self._client.connect(*((ours, other) if sends else (other, ours)))
        except self._error:
            return False
        return True

    def _connected(self, *_: object) -> None:
        """JACK's thread."""
        self._changed = True

    def _registered(self, port: Any, _: bool) -> None:
        """JACK's thread."""
        if port is not None:  # one that is new may follow an old one of its name
            self._gone.append(port.name)
        self._changed = True
