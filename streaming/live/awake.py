"""Processors that are kept from sleeping between two blocks.

A processor with nothing to do is halted, and the deeper it sleeps the longer it takes to wake, and
the colder its caches are. Between two blocks of audio there is time for that. Linux lets a program
say how long waking may take at most (`/dev/cpu_dma_latency`, "PM QoS", which audio programs and
cyclictest use); in a virtual machine the host decides, and there only work keeps a processor: a
loop for each, of the lowest kind of priority, which every other program goes before.

Both cost power, so it is for who asks for it. Linux only.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

_LIMIT = Path("/dev/cpu_dma_latency")
# "none" where the host of a virtual machine decides; else a driver that heeds the limit.
_DRIVER = Path("/sys/devices/system/cpu/cpuidle/current_driver")
_SPIN = """
import os, sys
core, parent = int(sys.argv[1]), int(sys.argv[2])
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
os.sched_setaffinity(0, {core})
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


class Awake:
    """From `begin` to `end` processors stay awake, as far as the system permits it."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._spinning: list[subprocess.Popen[bytes]] = []

    def begin(self) -> bool:
        """Whether anything keeps them awake now."""
        if not sys.platform.startswith("linux"):
            return False
        try:
            idle = _DRIVER.read_text().strip() not in ("none", "")
        except OSError:
            idle = False
        return self._ask() if idle else self._spin()

    def end(self) -> None:
        """Let them sleep again. Nothing where it had not begun."""
        if self._limit is not None:
            os.close(self._limit)
            self._limit = None
        for process in self._spinning:
            process.kill()
            process.wait()
        self._spinning.clear()

    def _ask(self) -> bool:
        """The limit holds for as long as its file is open."""
        try:
            self._limit = os.open(_LIMIT, os.O_WRONLY)
            os.write(self._limit, struct.pack("=i", 0))
        except OSError:
            self.end()
            return False
        return True

    def _spin(self) -> bool:
        for core in sorted(os.sched_getaffinity(0)):
            arguments = [sys.executable, "-I", "-S", "-c", _SPIN, str(core), str(os.getpid())]
            try:
                self._spinning.append(subprocess.Popen(arguments, stdin=subprocess.DEVNULL))
            except OSError:
                break
        return bool(self._spinning)
