"""Two streams and the bridge between them on PortAudio itself, with a real server's callbacks.

JACK's clients have one clock, so `live` makes no bridge for them; here they are said to have two.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

PERIOD = 512

# Noise goes from the client "daw" through the bridge and comes back to it.
PROGRAM = """
import json, time
import jack, numpy as np
from scipy.signal import correlate
from soloist.streaming.live import duplex
from soloist.streaming.live.devices import find_device

played = np.random.default_rng(1).uniform(-0.5, 0.5, 48000 * 4).astype(np.float32)
recorded = np.zeros_like(played)
daw = jack.Client("daw", no_start_server=True)
there, back = daw.outports.register("there"), daw.inports.register("back")
at = 0

@daw.set_process_callback
def cycle(frames):
    global at
    if at + frames <= len(played):
        there.get_array()[:] = played[at : at + frames]
        recorded[at : at + frames] = back.get_array()
        at += frames

def pass_on(heard, out, frames, times, flags):
    out[:] = heard

faults = []
duplex.one_clock = lambda *_: False
with daw:
    stream = duplex.open_duplex(
        find_device("input", "daw"), find_device("output", "daw"), pass_on, faults.append,
        channels=(1, 1), sample_rate=48000, block_size=0, max_block=8192, latency=0.1,
    )
    stream.start()
    deadline = time.monotonic() + 60
    while at + 4096 < len(played) and time.monotonic() < deadline:
        time.sleep(0.1)
    active, drivers = stream.active, stream.latency
    duplex.close(stream)
found = correlate(recorded[96000:], played[96000:], "full", "fft")
lag = int(np.argmax(np.abs(found))) - (len(played) - 96001)
bridge = stream.bridge
print(json.dumps({
    "lag": lag, "delay": bridge.latency.total, "speed": bridge.speed, "active": active,
    "slips": [bridge.underruns, bridge.overruns], "drivers": drivers, "faults": repr(faults),
}))
"""


def test_as_late_as_said(start_server: Callable[..., Any]) -> None:
    server = start_server(period=PERIOD)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["active"] and found["faults"] == "[]"
    assert len(found["drivers"]) == 2
    # JACK collects no block between two clients, but adds one where they form a ring, as here.
    assert found["lag"] == pytest.approx(found["delay"], abs=PERIOD // 2), found
    assert abs(found["speed"]) < 1e-3
