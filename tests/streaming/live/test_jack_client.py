"""Soloist as a client of JACK's own: an insert, what the graph is told, what is connected again."""

import contextlib
import functools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from soloist.streaming.processor import Processor

from .conftest import JackServer, Player, Recorder, Transport, soon
from .test_jack_chain import HOP, RATE, noise, ways_to_match

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]

IN, OUT = ("daw:daw_1", "soloist:in_1"), ("soloist:out_1", "rec:rec_1")


@contextlib.contextmanager
def programs(server: JackServer) -> Iterator[None]:
    """A player "daw" and a recorder "rec" of one channel, which do nothing."""
    silence = np.zeros((128, 1), np.float32)
    clients: list[Any] = [
        kind(server, name, silence, Transport())
        for kind, name in ((Player, "daw"), (Recorder, "rec"))
    ]
    try:
        yield
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(("schedule", "extra"), [("inline", 0), ("worker", 128)], ids=str)
def test_an_insert_is_exact_and_connected_by_others(
    start_server: Make, play_through: Make, toy_bundle: Make, schedule: str, extra: int
) -> None:
    toy = toy_bundle(hop=HOP)
    audio = noise(RATE, 2)
    recording = play_through(
        start_server(), audio, "-m", str(toy.path), "--schedule", schedule, outputs=2, insert=True
    )
    processor = Processor(toy.bundle, linked=True)
    assert ways_to_match(processor, audio, recording.audio, HOP + extra, 128) == 1
    assert np.abs(recording.audio).max() > 0.1
    assert "  input    soloist:in_*, JACK" in recording.text


@pytest.mark.parametrize("period", [128, 256, 64], ids=str)
def test_trailing_masks_are_exact_and_no_later(
    start_server: Make, play_through: Make, toy_bundle: Make, period: int
) -> None:
    """In freewheel mode the server waits for them, so they are those of the block before."""
    toy, audio = toy_bundle(hop=HOP), noise(RATE, 2)
    told = ("-m", str(toy.path), "--schedule", "trailing")
    server = start_server(period=period)
    recording = play_through(server, audio, *told, outputs=2, insert=True)
    delay = HOP + (HOP - period if period < HOP else 0)  # as inline
    processor = Processor(toy.bundle, linked=True, trailing=True)
    heard = recording.audio
    assert ways_to_match(processor, audio, heard, delay, period, block_size=period) == 1
    assert np.abs(heard).max() > 0.1
    inline = Processor(toy.bundle, linked=True)
    assert ways_to_match(inline, audio, heard, delay, period) == 0
    processor.release()


def test_an_insert_connects_nothing_and_no_portaudio_stays(
    start_server: Make, run_live: Make, toy_bundle: Make
) -> None:
    server = start_server()
    ends = {"--jack": set(), "-i": {("system:capture_1", "vocals:in_1")}}
    for option, expected in ends.items():
        words = ("--jack",) if option == "--jack" else ("--jack", "-i", "system")
        live = run_live(
            server, *words, "--client-name", "vocals", "-c", "1", "-m", str(toy_bundle().path)
        )
        live.wait_for("READY")
        own = {"vocals:in_1", "vocals:out_1"}
        assert {port for port in server.latencies() if not port.startswith("system:")} == own
        assert {pair for pair in server.connections() if pair[1].startswith("vocals")} == expected
        assert live.end() == 130
    # Found by PortAudio as devices, which then leaves.
    live = run_live(server, "-i", "system", "-o", "system", "-m", str(toy_bundle().path))
    live.wait_for("READY")
    clients = subprocess.run(
        ["jack_lsp"], env=server.environment, capture_output=True, text=True, check=True
    ).stdout
    assert "PortAudio" not in clients
    assert ("system:capture_2", "soloist:in_2") in server.connections()
    assert ("soloist:out_2", "system:playback_2") in server.connections()


def test_the_graph_is_told_the_latency(
    start_server: Make, run_live: Make, toy_bundle: Make
) -> None:
    """What a DAW that plays and records through it reads off its own ports, to compensate it."""
    server = start_server(period=64)
    with programs(server):
        live = run_live(server, "-i", "daw", "-o", "rec", "-m", str(toy_bundle(hop=HOP).path))
        live.wait_for("READY")

        def told(delay: int) -> bool:
            ports = server.latencies()
            found = ports["daw:daw_1"]["playback"], ports["rec:rec_1"]["capture"]
            return found == ((delay, delay), (delay, delay))

        assert soon(lambda: told(2 * HOP - 64))
        for period, delay in ((256, HOP), (96, 2 * HOP - 32), (128, HOP)):
            server.set_period(period)
            assert soon(functools.partial(told, delay))
        # A microphone beside the player: what comes from it is a period of the driver's older.
        server.connect("system:capture_1", "soloist:in_1")
        assert soon(lambda: server.latencies()["rec:rec_1"]["capture"] == (128, 256))
        assert live.end() == 130


def test_connections_survive_the_server_and_the_programs(
    start_server: Make, run_live: Make, toy_bundle: Make
) -> None:
    """Those made by hand, too; those taken apart by hand stay apart."""
    server = start_server()
    by_hand = ("soloist:out_1", "system:playback_2")
    apart = ("soloist:out_2", "system:playback_1")
    with programs(server):
        live = run_live(server, "--jack", "-i", "daw", "-c", "2", "-m", str(toy_bundle().path))
        live.wait_for("READY")
        for pair in (OUT, by_hand, apart):
            server.connect(*pair)
        time.sleep(0.3)  # seen by now, so that taking apart is seen as such
        server.disconnect(*apart)
        time.sleep(1.5)  # forgotten by now: no program ended
    # The programs ended, and come back.
    assert soon(lambda: {IN, OUT}.isdisjoint(server.connections()))
    with programs(server):
        assert soon(lambda: {IN, OUT, by_hand} <= server.connections())
        server.process.kill()
        live.wait_for("soloist: audio device lost: input 'daw, JACK")
    server.restart()
    live.wait_for("audio is back, latency ")
    assert soon(lambda: by_hand in server.connections())
    with programs(server):
        assert soon(lambda: {IN, OUT, by_hand} <= server.connections())
        assert apart not in server.connections()
        assert live.end() == 130


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_a_server_of_another_rate(
    start_server: Make, run_live: Make, toy_bundle: Make, number: int
) -> None:
    """Noticed within two seconds of the server's end, played on at the rate it has now."""
    server = start_server()
    live = run_live(server, "-i", "system", "-o", "system", "-m", str(toy_bundle().path))
    live.wait_for("READY")
    ended = time.monotonic()
    server.process.send_signal(number)
    live.wait_for("audio device lost")
    assert time.monotonic() - ended < 2.0
    server.restart(rate=44100, period=441)
    live.wait_for("audio is back, latency ")
    assert ("system:capture_1", "soloist:in_1") in server.connections()
    assert live.end() == 130
    assert "samples at 44100 Hz" in next(x for x in live.errors if x.startswith("audio is back"))
