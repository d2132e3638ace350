"""A client that only copies its input to its output, in a process of its own, as the measure.

    python -m soloist.benchmarks.copying '{"source": ..., "sink": ..., ...}'

It is as simple as such programs are, and shares with Soloist nothing that plays: JACK-Client where
both ends are JACK's, else PortAudio. `Copying` starts it and asks it for its counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, Self

import numpy as np

from ..runtime.errors import DeviceLost
from ..streaming.live.devices import find_device
from ..streaming.live.duplex import open_duplex
from ..streaming.live.jack_graph import client_of, jack_module
from ..streaming.live.process import end
from ..streaming.live.report import Report
from .misses import Count

CLIENT = "copying"
"""What JACK calls it."""

_START_LIMIT_S = 20.0


class Copying:
    """The client between the ends of a stream, with that stream's settings; `with` ends it.

    `busy_ms`: so long it computes in each block at the median, besides copying it.
    """

    def __init__(
        self, report: Report, block_size: int, latency: str | float, busy_ms: float = 0.0
    ) -> None:
        wiring = report.wiring
        assert wiring is not None
        connections = [] if report.jack is None else list(report.jack.connections)
        settings = {
            "source": wiring.source,
            "sink": wiring.sink,
            "channels": [wiring.input_channels, wiring.output_channels],
            "sample_rate": wiring.sample_rate,
            "block_size": block_size,
            "latency": latency,
            "busy_ms": busy_ms,
            "jack": report.jack is not None,
            "connections": connections,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Killed, it would leave the server waiting for it: it ends with its input.
        end(self._process)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def count(self) -> Count:
        """So far. Raises `DeviceLost` where the client has ended."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            found: dict[str, int] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            raise DeviceLost("the copying client ended; are the devices still there?") from error
        return Count(found["blocks"], max(found["late"], found["lost"]))


class _Work:
    """As much to compute in each block as takes `busy_ms` at the median.

    Products with 2 MiB of weights, as large as those of the shipped model. How many fit is found
    out in the first `LEARNING_S`; from then on it is the same work, and who is kept from it for a
    moment is late by that: a loop that looked at the clock would hide it.
    """

    LEARNING_S = 0.8  # over before `turns.SETTLE_S` is, after which blocks count
    _PARTS = 16

    def __init__(self, busy_ms: float) -> None:
        self._busy_ns = 1e6 * busy_ms
        self._weights = np.ones((self._PARTS, 32, 1024), np.float32)
        self._heard, self._out = np.ones(1024, np.float32), np.zeros(32, np.float32)
        self._steps = 1 if busy_ms else 0
        self._learnt_ns = 0

    def __call__(self, began: int) -> None:
        """Compute. `began` is when the block did, of `time.perf_counter_ns`."""
        for number in range(self._steps):
            part = self._weights[number % self._PARTS]
            np.einsum("ij,j->i", part, self._heard, out=self._out)  # BLAS may wake threads
        self._learnt_ns = self._learnt_ns or began + int(1e9 * self.LEARNING_S)
        if self._steps and began < self._learnt_ns:
            self._steps = max(1, self._steps + self._missing(began))

    def _missing(self, began: int) -> int:
        """Steps that are missing or too many, at most a tenth of those there are, at least one."""
        took = time.perf_counter_ns() - began
        most = max(1, self._steps // 10)
        missing = round(self._steps * (self._busy_ns / took - 1))
        return max(-most, min(most, missing or (1 if took < self._busy_ns else -1)))


class _Counts:
    def __init__(self, sample_rate: int, busy_ms: float) -> None:
        self._frame_ns, self._work = 1e9 / sample_rate, _Work(busy_ms)
        self.blocks = self.late = self.lost = 0

    def book(self, frames: int, began: int, lost: bool) -> None:
        self._work(began)
        self.blocks += 1
        self.lost += lost
        self.late += time.perf_counter_ns() - began > frames * self._frame_ns


def main(settings: dict[str, Any]) -> None:
    """Copy, and answer each line of the input with the counts, until it ends."""
    counts = _Counts(settings["sample_rate"], settings["busy_ms"])
    stream = (_jack if settings["jack"] else _portaudio)(settings, counts)
    deadline = time.monotonic() + _START_LIMIT_S
    while not counts.blocks and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in sys.stdin:
        found = {"blocks": counts.blocks, "late": counts.late, "lost": counts.lost}
        print(json.dumps(found), flush=True)
    stream.close()


def _jack(settings: dict[str, Any], counts: _Counts) -> Any:
    jack = jack_module()
    assert jack is not None
    client = jack.Client(CLIENT, no_start_server=True)
    inputs, outputs = settings["channels"]
    ins = [client.inports.register(f"in_{n + 1}") for n in range(inputs)]
    outs = [client.outports.register(f"out_{n + 1}") for n in range(outputs)]
    xruns = seen = 0
    due: int | None = None

    def xrun(_: float) -> None:
        nonlocal xruns
        xruns += 1

    def cycle(frames: int) -> None:
        nonlocal seen, due
        began, at = time.perf_counter_ns(), client.last_frame_time
        lost = (due is not None and at != due) or seen != xruns
        seen, due = xruns, (at + frames) % (1 << 32)
        for number, out in enumerate(outs):
            out.get_array()[:] = ins[number % inputs].get_array()
        counts.book(frames, began, lost)

    client.set_xrun_callback(xrun)
    client.set_process_callback(cycle)
    client.activate()
    for port, other in settings["connections"]:
        # What was connected to itself is here, too.
        other = f"{client.name}:{other.partition(':')[2]}" if _is_own(other) else other
        ends = (f"{client.name}:{port}", other)
        client.connect(*(ends if port.startswith("out") else ends[::-1]))
    return client


def _is_own(port: str) -> bool:
    return client_of(port).startswith("soloist")


def _portaudio(settings: dict[str, Any], counts: _Counts) -> Any:
    source, sink = find_device("input", settings["source"]), find_device("output", settings["sink"])

    def callback(heard: Any, out: Any, frames: int, _: Any, status: Any) -> None:
        began = time.perf_counter_ns()
        out[:] = heard if heard.shape == out.shape else heard[:, :1]
        counts.book(frames, began, bool(status))

    stream = open_duplex(
        source,
        sink,
        callback,
        lambda _: None,
        channels=tuple(settings["channels"]),
        sample_rate=settings["sample_rate"],
        block_size=settings["block_size"],
        max_block=8192,
        latency=settings["latency"],
    )
    stream.start()
    return stream


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
