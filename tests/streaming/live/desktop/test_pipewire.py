"""`soloist live` on PipeWire, as a client of its JACK: round trip, and the virtual microphone."""

import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest

pytestmark = [pytest.mark.pipewire, pytest.mark.timeout(240)]

QUANTUM = 256

# A client "probe" that plays noise and says by how many frames it comes back, window by window.
PROBE = """
import json, sys, threading
import jack, numpy as np
RATE, WINDOW = 48000, 4096
client = jack.Client("probe", no_start_server=True)
out, back = client.outports.register("out"), client.inports.register("in")
noise = np.random.default_rng(1).uniform(-0.25, 0.25, 8 * RATE).astype(np.float32)
played, heard = np.zeros_like(noise), np.zeros_like(noise)
position, done = -1, threading.Event()

@client.set_process_callback
def process(frames):
    global position
    block = out.get_array()
    block[:] = 0
    if 0 <= position <= len(noise) - frames:
        block[:] = noise[position:position + frames]
        played[position:position + frames] = block
        heard[position:position + frames] = back.get_array()
        position += frames
    elif position > 0:
        done.set()

with client:
    print("ready", flush=True)
    sys.stdin.readline()
    position = 0
    assert done.wait(60)
found = []
for start in range(RATE, len(noise) - 2 * WINDOW, WINDOW):
    given = np.fft.rfft(played[start:start + WINDOW], 4 * WINDOW)
    came = np.fft.rfft(heard[start:start + 2 * WINDOW], 4 * WINDOW)
    found.append(int(np.argmax(np.fft.irfft(came * given.conj())[:WINDOW])))
print(json.dumps(found), flush=True)
"""


def test_the_round_trip_is_the_reported_latency(pipewire_server: Any, start_live: Any) -> None:
    """Up to a cycle. PipeWire drops cycles of a busy machine without a word, which leaves gaps and
    moves nothing, so most windows agree."""
    jack = pipewire_server.through_jack
    probe = subprocess.Popen(
        [sys.executable, "-c", PROBE],
        env=jack.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert probe.stdin is not None and probe.stdout is not None
        assert probe.stdout.readline() == "ready\n"
        # All gains at 0 dB: what comes out is the input.
        live = start_live(jack, "-i", "probe", "-o", "probe", "--gain", "0", "--rest", "0")
        live.wait_for("READY")
        probe.stdin.write("go\n")
        probe.stdin.flush()
        found = json.loads(probe.stdout.readline())
        assert live.end() == 130
    finally:
        probe.kill()
        probe.communicate()
    total = re.search(r"total +(\d+) samples", live.text)
    assert total is not None
    reported = int(total[1])
    usual = max(set(found), key=found.count)
    assert found.count(usual) > len(found) / 2, found
    assert abs(usual - reported) <= QUANTUM, (usual, reported)


def test_it_is_a_microphone_through_pipewires_jack(pipewire_server: Any, start_live: Any) -> None:
    live = start_live(pipewire_server.through_jack, "--virtual-mic")
    live.wait_for("READY")
    assert "input    Desk Microphone, JACK Audio Connection Kit (2 ch)" in live.text
    assert "output   soloist-feed, JACK Audio Connection Kit (2 ch)" in live.text
    assert "soloist-mic" in pipewire_server.pactl("list", "short", "sources")
    assert live.end() == 130
    assert "soloist" not in pipewire_server.pactl("list", "short", "sources")


def test_it_hears_what_the_computer_plays(pipewire_server: Any, start_live: Any) -> None:
    live = start_live(pipewire_server.through_jack, "--loopback", "--virtual-mic")
    live.wait_for("READY")
    assert "input    Speakers, JACK Audio Connection Kit (2 ch)" in live.text
    assert live.end() == 130


def test_without_jack_it_says_what_would_be_quicker(pipewire_server: Any, start_live: Any) -> None:
    live = start_live(pipewire_server, "--virtual-sink", "--latency", "high")
    live.wait_for("READY")
    assert "started by `pw-jack soloist live`" in live.text
    assert "input    pulse, ALSA" in live.text
    assert live.end() == 130
    assert "soloist" not in pipewire_server.pactl("list", "short", "sinks")


def test_another_rate_while_it_plays(pipewire_server: Any, start_live: Any, soon: Any) -> None:
    """Which jackd cannot have: silence, and then the same connections at the new rate."""
    live = start_live(pipewire_server.through_jack, "--jack", "-c", "1")
    live.wait_for("READY")
    ends = ("speakers:monitor_FL", "soloist:in_1")
    pipewire_server.run("pw-link", *ends)

    def connected() -> bool:
        return "soloist:in_1" in pipewire_server.run("pw-link", "-lo").out

    assert soon(connected)
    time.sleep(0.5)  # until it was noted
    pipewire_server.run("pw-metadata", "-n", "settings", "0", "clock.force-rate", "44100")
    live.wait_for("JACK's server now runs at 44100 Hz instead of 48000 Hz")
    live.wait_for("audio is back, latency ")
    assert soon(connected)
    assert live.end() == 130
    assert "samples at 44100 Hz" in live.text.partition("audio is back")[2]
