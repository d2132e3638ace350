"""How soon sound is back after each fault of the table in docs/live.md, and how late it is then.

    python -m soloist.benchmarks.recovery [--model solo] [--rounds 3] [--json]

Needs `jackd` with its dummy driver, of which it runs a private one, and JACK-Client. A client plays
noise into `soloist live --jack`, and another records what comes out. Time is counted from when the
cause is over, with the server and both clients there, to the first sound, on JACK's clock; the
delay is that of a second of noise after it, by cross-correlation.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.errors import DeviceError, SoloistError
from .environment import environment, environment_line
from .live_delay import SINK, SOURCE, Loop, delays

PERIOD, RATE = 128, 48_000
LISTEN_S = 8.0  # at most until there is sound again, and two seconds of it
LIMIT_S = 60.0
AWAY_S = 5.0
PAUSE_S = 0.5
# Between two runs, all connected again.
SETTLE_S = 1.0


class Server:
    """A `jackd` of its own name; clients of this process reach it by the environment."""

    def __init__(self) -> None:
        self.name = f"soloist-{uuid.uuid4().hex[:8]}"
        os.environ.update(JACK_DEFAULT_SERVER=self.name, JACK_NO_START_SERVER="1")
        os.environ["JACK_NO_AUDIO_RESERVATION"] = "1"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGTERM)

    def start(self) -> None:
        """Until it answers. Raises `DeviceError` where it does not."""
        command = ["jackd", "-n", self.name, "-S", "-t", "5000", "-d", "dummy"]
        self._process = subprocess.Popen(
            [*command, "-r", str(RATE), "-p", str(PERIOD)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(["jack_lsp"], capture_output=True).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DeviceError("jackd did not start")

    def end(self, number: signal.Signals) -> None:
        """By a signal."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(LIMIT_S)


class Live:
    """`soloist live` between the two clients, and what it says of its delay."""

    def __init__(self, model: str) -> None:
        command = [sys.executable, "-m", "soloist", "live", "--json", "--jack", "-c", "1"]
        command += ["-i", SOURCE, "-o", SINK, "-m", model]
        self.process = subprocess.Popen(
            [*command, "--gain", "0", "--rest", "0", "--no-limiter"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.delay = 0
        self.events: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Live":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(LIMIT_S)

    def wait_for(self, event: str) -> None:
        """Until it has happened once more. Raises `DeviceError` where it does not."""
        deadline = time.monotonic() + LIMIT_S
        while event not in self.events:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DeviceError(f"soloist live did not say {event!r}")
            time.sleep(0.01)
        self.events.remove(event)

    def player(self) -> int:
        """The process that plays."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if "latency" in event:
                self.delay = event["latency"]["samples"]
            self.events.append(event["event"])


def hear(loop: Loop, live: Live, over: float) -> dict[str, float]:
    """Seconds from `over`, of `time.perf_counter`, to the first sound; its delay in samples,
    and the one that was told.

    Raises `DeviceError` where nothing came back in time.
    """
    began = time.perf_counter()
    loop.run()
    heard = np.flatnonzero(loop.heard)
    if not len(heard):
        raise DeviceError(f"no sound came back within {LISTEN_S:g} s")
    from_first = slice(heard[0] - heard[0] % PERIOD, heard[0] + 3 * RATE)
    found = delays(loop.played[from_first], loop.heard[from_first], RATE, RATE)
    seconds = began - over + heard[0] / RATE
    return {"seconds": seconds, "delay": int(found[-1]), "told": live.delay}


def program_back(server: Server, live: Live) -> dict[str, float]:
    """Player and recorder end and come back."""
    with Loop(LISTEN_S, 0.0) as loop:
        return hear(loop, live, time.perf_counter())


def server_back(server: Server, live: Live, away_s: float = 0.0) -> dict[str, float]:
    """The server is killed, and another one started as soon as that is noticed, or later."""
    server.end(signal.SIGKILL)
    live.wait_for("device-lost")
    time.sleep(away_s)
    server.start()
    over = time.perf_counter()
    with Loop(LISTEN_S, 0.0) as loop:
        found = hear(loop, live, over)
    live.wait_for("audio-back")
    return found


def another_block(server: Server, live: Live) -> dict[str, float]:
    """Half the block size; the delay afterwards is the worst case of both."""
    with Loop(LISTEN_S, 0.0) as loop:
        time.sleep(SETTLE_S)
        with _blocks(live, PERIOD // 2):
            return hear(loop, live, time.perf_counter())


def suspended(server: Server, live: Live) -> dict[str, float]:
    """The process that plays stands still for a while."""
    with Loop(LISTEN_S, 0.0) as loop:
        time.sleep(SETTLE_S)
        player = live.player()
        os.kill(player, signal.SIGSTOP)
        time.sleep(PAUSE_S)
        os.kill(player, signal.SIGCONT)
        return hear(loop, live, time.perf_counter())


FAULTS: dict[str, Callable[[Server, Live], dict[str, float]]] = {
    "programs end and come back": program_back,
    "server killed, started again at once": server_back,
    f"the same, {AWAY_S:g} s later": partial(server_back, away_s=AWAY_S),
    f"blocks of {PERIOD // 2} instead of {PERIOD}": another_block,
    f"stands still for {PAUSE_S:g} s": suspended,
}


def measure(model: str, rounds: int) -> list[dict[str, Any]]:
    """Every fault, in turn, so many times. Raises `DeviceError`."""
    rows: list[dict[str, Any]] = []
    with Server() as server, contextlib.ExitStack() as stack:
        with Loop(LISTEN_S):  # whose ports it connects to, and remembers
            live = stack.enter_context(Live(model))
            live.wait_for("started")
        for _ in range(rounds):
            for name, fault in FAULTS.items():
                rows.append({"fault": name, **fault(server, live)})
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 where there is no server or no sound."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.recovery")
    parser.add_argument("--model", default="solo", help="a bundle, or a shipped model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine = environment()
    try:
        rows = measure(options.model, options.rounds)
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps({"environment": machine, "rows": rows}, indent=1))
        return 0
    print(environment_line(machine), end="\n\n")
    print(
        "| fault | first sound, median | most | delay, as told | as heard |\n|---|---|---|---|---|"
    )
    for name in FAULTS:
        mine = [row for row in rows if row["fault"] == name]
        after = [row["seconds"] for row in mine]
        told, heard = (
            ", ".join(map(str, sorted({row[key] for row in mine}))) for key in ("told", "delay")
        )
        print(f"| {name} | {np.median(after):.2f} s | {max(after):.2f} s | {told} | {heard} |")
    return 0


@contextlib.contextmanager
def _blocks(live: Live, frames: int) -> Iterator[None]:
    """Blocks of so many frames; afterwards, once that was told, of as many as before."""
    subprocess.run(["jack_bufsize", str(frames)], check=True, capture_output=True)
    yield
    live.wait_for("latency-changed")
    subprocess.run(["jack_bufsize", str(PERIOD)], check=True, capture_output=True)
    live.wait_for("latency-changed")


if __name__ == "__main__":
    sys.exit(main())
