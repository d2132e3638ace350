"""Connections on a graph without a server, whose events come in the order that is to be tried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from soloist.streaming.live import jack_connections as module
from soloist.streaming.live.jack_connections import Connections
from soloist.streaming.live.jack_graph import jack_module

pytestmark = pytest.mark.skipif(jack_module() is None, reason="JACK is not installed")

OTHER = "rec:in_1"


class Graph:
    """A client "soloist" with a port "out_1" beside others' ports; `connected` are those that it is
    connected to."""

    name = "soloist"

    def __init__(self) -> None:
        self.others, self.connected = {OTHER}, {OTHER}
        self.inports: list[Any] = []
        self.outports = [SimpleNamespace(shortname="out_1")]

    def set_port_connect_callback(self, callback: Any, **_: object) -> None:
        self.rewired = callback

    def set_port_registration_callback(self, callback: Any, **_: object) -> None:
        self.registered = callback

    def get_ports(self, **_: object) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.others]

    def get_all_connections(self, _: object) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.connected]

    def connect(self, _: str, other: str) -> None:
        self.connected.add(other)

    def part(self) -> None:
        self.connected.clear()
        self.rewired()

    def end(self) -> None:
        self.others.clear()
        self.registered(SimpleNamespace(name=OTHER), False)

    def begin(self) -> None:
        self.others.add(OTHER)
        self.registered(SimpleNamespace(name=OTHER), True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `now` is."""
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.now))
    return time


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def connections(graph: Graph, clock: SimpleNamespace) -> Connections:
    made = Connections(graph)
    made.tend()
    return made


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_a_program_that_ends_takes_its_connections_apart_first(
    graph: Graph, connections: Connections, looks: int
) -> None:
    """However often it was looked at in between, which is a matter of chance."""
    graph.part()
    for _ in range(looks):
        connections.tend()
    assert connections.wanted == (("out_1", OTHER),)
    graph.end()
    connections.tend()
    graph.begin()
    connections.tend()
    assert graph.connected == {OTHER}


def test_one_that_ends_and_comes_back_between_two_looks(
    graph: Graph, connections: Connections
) -> None:
    graph.part()
    connections.tend()
    graph.end()
    graph.begin()
    connections.tend()
    assert graph.connected == {OTHER}


def test_a_person_who_takes_one_apart_is_obeyed(
    graph: Graph, connections: Connections, clock: SimpleNamespace
) -> None:
    graph.part()
    connections.tend()
    clock.now += 1.0
    connections.tend()
    assert connections.wanted == ()
    graph.end()
    graph.begin()
    connections.tend()
    assert graph.connected == set()


def test_a_person_who_connects_again_at_once_is_obeyed(
    graph: Graph, connections: Connections, clock: SimpleNamespace
) -> None:
    graph.part()
    connections.tend()
    graph.connected.add(OTHER)
    graph.rewired()
    connections.tend()
    clock.now += 1.0
    connections.tend()
    assert connections.wanted == (("out_1", OTHER),)
