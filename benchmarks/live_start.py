"""From `soloist live` to its first sound, and what the process that plays takes and is granted.

    python -m soloist.benchmarks.live_start [--runs 5] [--json] [-- OPTIONS OF soloist live]

Needs a JACK server with its dummy driver, JACK-Client, and the name of the server in
JACK_DEFAULT_SERVER. A client plays noise all the time; the time runs from the start of the command
to the block in which that client first hears something, everything at 0 dB. A run before those that
count finds files cold. Memory is what is in use two seconds later.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jack
import numpy as np

from .environment import environment, environment_line

NAME = "soloist-ear"
LIMIT_S = 60.0
SETTLE_S = 2.0


class Ear:
    """Plays noise, and notes when it first hears anything."""

    def __init__(self) -> None:
        self.heard_at = 0.0
        self._client = jack.Client(NAME, no_start_server=True)
        self._out = self._client.outports.register("out_1")
        self._in = self._client.inports.register("in_1")
        self._noise = np.random.default_rng(0).uniform(-0.1, 0.1, 8192).astype(np.float32)
        self._client.set_process_callback(self._cycle)

    def __enter__(self) -> "Ear":
        self._client.activate()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.deactivate()
        self._client.close()

    def _cycle(self, frames: int) -> None:
        self._out.get_array()[:] = self._noise[:frames]
        if not self.heard_at and self._in.get_array().any():
            self.heard_at = time.perf_counter()


def measure(options: Sequence[str]) -> dict[str, Any]:
    """One start. `RuntimeError` where nothing was heard."""
    command = [sys.executable, "-m", "soloist", "live", "--jack", "-i", NAME, "-o", NAME]
    with Ear() as ear:
        began = time.perf_counter()
        live = subprocess.Popen(
            [*command, "--gain", "0", "--rest", "0", *options], stderr=subprocess.PIPE
        )
        try:
            while not ear.heard_at:
                if live.poll() is not None or time.perf_counter() - began > LIMIT_S:
                    raise RuntimeError(f"nothing was heard of {' '.join(command)}")
                time.sleep(0.01)
            player = int(Path(f"/proc/{live.pid}/task/{live.pid}/children").read_text().split()[0])
            busy_s = _processor_s(live.pid) + _processor_s(player)
            time.sleep(SETTLE_S)
            return {
                "first_sound_s": ear.heard_at - began,
                "processor_s": busy_s,
                "player_mb": _kilobytes(player, "VmRSS") / 1024,
                "locked_mb": _kilobytes(player, "VmLck") / 1024,
                "command_mb": _kilobytes(live.pid, "VmRSS") / 1024,
                "realtime_threads": sum(map(_is_realtime, os.listdir(f"/proc/{player}/task"))),
            }
        finally:
            live.terminate()
            live.communicate()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.live_start")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("options", nargs="*", help="of soloist live")
    given = parser.parse_args(arguments)
    machine = environment()
    runs = [measure(given.options) for _ in range(given.runs + 1)][1:]
    if given.json:
        print(json.dumps({"environment": machine, "runs": runs}, indent=1))
        return 0
    print(environment_line(machine), end="\n\n")
    print("| | median | most |\n|---|---|---|")
    for key, name, unit in (
        ("first_sound_s", "first sound after", "s"),
        ("processor_s", "processor time until then", "s"),
        ("player_mb", "the process that plays", "MB"),
        ("locked_mb", "of that, locked", "MB"),
        ("command_mb", "the command", "MB"),
        ("realtime_threads", "threads at real-time priority", ""),
    ):
        each = [run[key] for run in runs]
        print(f"| {name} | {np.median(each):.3g} {unit} | {max(each):.3g} {unit} |")
    return 0


def _processor_s(pid: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kilobytes(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def _is_realtime(thread: str) -> bool:
    try:
        return os.sched_getscheduler(int(thread)) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER
    except ProcessLookupError:  # it ended just now
        return False


if __name__ == "__main__":
    sys.exit(main())
