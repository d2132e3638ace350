"""The table of faults in docs/live.md, on real JACK servers.

When the cause is over, sound is there within a second of JACK's clock, or what a busy machine makes
of that (`benchmarks.recovery` measures it), and as late as the graph is told, by cross-correlation.
"""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy.signal import correlate

from .conftest import JackServer, LiveProcess, Player, Recorder, Transport, soon
from .test_jack_chain import HOP, RATE, noise

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]
Listen = Callable[[JackServer], contextlib.AbstractContextManager["Ear"]]

# What a busy machine may take longer for a few calls of programs.
LOAD_S = 1.0
# All that comes in goes out, whatever the toy makes of it.
UNITY = ("--gain", "0", "--rest", "0", "--no-limiter")


class Ear:
    """A player "daw" and a recorder "rec" on either side of Soloist."""

    def __init__(self, server: JackServer) -> None:
        self._server, self._transport = server, Transport()
        self._played = noise(RATE // 2, 1)
        self._heard = np.zeros((RATE, 1), np.float32)
        self._player = Player(server, "daw", self._played, self._transport)
        self._recorder = Recorder(server, "rec", self._heard, self._transport)

    def hears_soon(self) -> None:
        """The first sound comes within a second of the first that is played."""
        patience_s = 1.0 + 4 * LOAD_S
        self._player.audio = noise(round(patience_s * RATE), 1)
        self._recorder.audio = heard = np.zeros_like(self._player.audio)
        self._transport.start = self._recorder.client.last_frame_time + 2 * self._server.period
        assert soon(lambda: bool(heard.any()), patience_s + 20), f"no sound within {patience_s:g} s"
        self._transport.start = None
        self._player.audio, self._recorder.audio = self._played, self._heard

    def close(self) -> None:
        self._player.close()
        self._recorder.close()

    def hears_in_time(self) -> None:
        """Half a second of noise arrives as late as the recorder's port is told."""
        self._heard.fill(0.0)
        self._recorder.done.clear()
        self._transport.start = self._recorder.client.last_frame_time + 20 * self._server.period
        assert self._recorder.done.wait(20)
        self._transport.start = None
        found = correlate(self._heard[:, 0], self._played[:, 0], "full", "fft")
        lag = int(np.argmax(np.abs(found))) - (len(self._played) - 1)
        told = self._server.latencies()["rec:rec_1"]["capture"][1]
        assert abs(lag - told) <= self._server.period, (lag, told)
        # And nearly all of it, though this machine may lose a cycle.
        energy = float(np.square(self._played).sum())
        assert np.abs(found).max() > 0.7 * energy


@contextlib.contextmanager
def listening(server: JackServer) -> Iterator[Ear]:
    ear = Ear(server)
    try:
        yield ear
    finally:
        ear.close()


@pytest.fixture
def start(run_live: Make, toy_bundle: Make) -> Callable[..., LiveProcess]:
    """`start(server, *arguments)`: all of "daw" to "rec", an insert that remembers them."""

    def run(server: JackServer, *arguments: str) -> LiveProcess:
        live: LiveProcess = run_live(
            server, "--jack", "-i", "daw", "-o", "rec", "-m", str(toy_bundle(hop=HOP).path),
            *UNITY, *arguments,
        )  # fmt: skip
        live.wait_for("READY")
        return live

    return run


def counted(live: LiveProcess, what: str) -> int:
    """From the summary."""
    assert live.end() == 130
    summary = next(line for line in reversed(live.errors) if "xruns " in line)
    found = re.search(rf"{what} (\d+)", summary)
    assert found is not None, summary
    return int(found[1])


def connected(server: JackServer) -> bool:
    pairs = server.connections()
    return {("daw:daw_1", "soloist:in_1"), ("soloist:out_1", "rec:rec_1")} <= pairs


def told(server: JackServer, late: int) -> bool:
    return server.latencies()["rec:rec_1"]["capture"] == (late, late)


@pytest.mark.parametrize("schedule", ["inline", "worker"])
def test_nothing_wrong(start_server: Make, start: Make, schedule: str) -> None:
    """The round trip in order, for both schedules: 128 samples, and a block more."""
    server = start_server()
    with listening(server) as ear:
        live = start(server, "--schedule", schedule)
        ear.hears_in_time()
        expected = HOP if schedule == "inline" else HOP + server.period
        assert told(server, expected)
        assert live.end() == 130


def test_unplugged_and_back(start_server: Make, start: Make) -> None:
    """Silence goes out meanwhile, and nothing is asked of anybody."""
    server = start_server()
    with listening(server) as ear:
        live = start(server)
        ear.hears_in_time()
    with listening(server) as ear:
        ear.hears_soon()
        ear.hears_in_time()
        assert live.end() == 130
    assert "lost" not in live.text


@pytest.mark.parametrize("away_s", [0.0, 6.0])
def test_server_killed_and_restarted(start_server: Make, start: Make, away_s: float) -> None:
    """However long it was away: the next process is loaded by then, and waits."""
    server = start_server()
    with listening(server):
        live = start(server)
        server.process.kill()
        live.wait_for("soloist: audio device lost: input 'daw, JACK")
    time.sleep(away_s)
    server.restart()
    with listening(server) as ear:
        ear.hears_soon()
        ear.hears_in_time()
        live.wait_for("audio is back, latency ")
        assert live.end() == 130


@pytest.mark.parametrize("schedule", ["inline", "worker"])
def test_another_period(start_server: Make, start: Make, schedule: str) -> None:
    server = start_server()
    with listening(server) as ear:
        live = start(server, "--schedule", schedule)
        for period in (64, 192):
            server.set_period(period)
            server.period = period
            late = 2 * HOP - int(np.gcd(HOP, period)) + (period if schedule == "worker" else 0)
            ear.hears_soon()
            assert soon(functools.partial(told, server, late), 1.0 + 4 * LOAD_S)
            ear.hears_in_time()
        live.wait_for("the driver changed its block size: latency is now ")
        assert live.end() == 130


@pytest.mark.parametrize("schedule", ["inline", "worker"])
def test_suspended(start_server: Make, start: Make, schedule: str) -> None:
    server = start_server()
    with listening(server) as ear:
        live = start(server, "--schedule", schedule)
        os.kill(live.player, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(live.player, signal.SIGCONT)
        ear.hears_soon()
        ear.hears_in_time()
        assert counted(live, "xruns") > 0
    assert "lost" not in live.text


# A stream on a real server whose network takes three blocks' time for half a second.
OVERLOAD = """
import json, sys, time
from soloist.runtime.bundle import Bundle
from soloist.runtime.session import PassThroughSession
from soloist.streaming.live.stream import LiveStream
from soloist.streaming.live.jack_graph import JackOptions
from soloist.streaming.processor import Processor

class Slow(PassThroughSession):
    until = 0.0
    def step(self):
        if time.monotonic() < self.until:
            time.sleep(3 * 128 / 48000)
        super().step()

session = Slow(Bundle.open(sys.argv[1]).spec, channels=1)
schedule = sys.argv[2]
processor = Processor(session, trailing=schedule == "trailing")
stream = LiveStream(
    processor, "daw", "rec", jack=JackOptions(insert=True),
    schedule="worker" if schedule == "worker" else "inline",
)
stream.start()
print("READY", flush=True)
sys.stdin.readline()
session.until = time.monotonic() + 0.5
time.sleep(1.0)
stream.check()
meters, counters = stream.read_meters(), stream.counters
print(json.dumps({"overloads": meters.overloads, "xruns": meters.xruns, "late": counters.late,
    "dropped": counters.dropped, "faults": meters.faults, "hops": counters.hops}), flush=True)
while sys.stdin.readline():
    stream.check()
stream.stop()
"""


@pytest.mark.parametrize("schedule", ["inline", "worker", "trailing"])
def test_overload(start_server: Make, toy_bundle: Make, schedule: str) -> None:
    """Inline some hops do without the network and blocks are late; with a worker none is, but
    blocks are dropped; of trailing masks older ones are heard. It is counted, and over as soon as
    the network is quick again."""
    server = start_server()
    with listening(server) as ear:
        live = subprocess.Popen(
            [sys.executable, "-c", OVERLOAD, str(toy_bundle(hop=HOP).path), schedule],
            env=server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with live:
            assert live.stdin is not None and live.stdout is not None
            assert live.stdout.readline() == "READY\n"
            assert soon(lambda: connected(server))
            live.stdin.write("overload\n")
            live.stdin.flush()
            found = json.loads(live.stdout.readline())
            ear.hears_soon()
            ear.hears_in_time()
            live.stdin.close()
    assert live.returncode == 0
    # In half a second each block could be late, if the callback waited.
    assert (found["overloads"] < 20) if schedule == "trailing" else (found["overloads"] > 2), found
    assert found["late"] > 10, found
    assert found["faults"] == 0
    assert (found["dropped"] > 2) == (schedule == "worker"), found
