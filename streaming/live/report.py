"""What a live stream says of itself, and the page of memory on which one process tells another."""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...runtime.errors import SoloistError
from ..counters import Counters
from ..listening import Heard
from .budget import LatencyBudget
from .jack_graph import JackWiring
from .levels import Levels
from .meters import Meters
from .recorder import Recorded

Stage = Literal["starting", "running", "ended", "failed"]


@dataclass(frozen=True)
class Wiring:
    """What the stream connects, as it was opened. Device names are for people; rates in Hertz."""

    source: str
    sink: str
    input_channels: int
    output_channels: int
    sample_rate: int
    model_rate: int
    provider: str


@dataclass(frozen=True)
class Report:
    """The state of a stream at one moment.

    `wiring`, `latency`, `meters`, `counters` and `levels` are there once it runs. `error` is what
    ended it, if `stage` is "failed"; `fault` what a callback of ours met, if any did, as text.
    `heard` is what the bundle's listener takes the input to hold, None where none listens.
    `recording` where one was asked for. `memory_locked`: none of it can be swapped out. `realtime`:
    the audio thread is known to go before ordinary ones (Linux). `kept_awake`: processors do not
    sleep between blocks. `computed_s`: how many seconds it has computed, told while it is starting;
    `looked`: how often it found no devices and goes on.
    `jack` where the stream is a client of JACK's own: its ports and what they are connected to;
    `loose` are then the inputs, such as "in_1", if nothing is connected to them, and the outputs.
    """

    stage: Stage
    wiring: Wiring | None = None
    latency: LatencyBudget | None = None
    meters: Meters | None = None
    counters: Counters | None = None
    levels: Levels | None = None
    heard: Heard | None = None
    error: SoloistError | None = None
    fault: str = ""
    recording: Recorded | None = None
    memory_locked: bool = False
    realtime: bool = False
    kept_awake: bool = False
    computed_s: float = 0.0
    looked: int = 0
    jack: JackWiring | None = None
    loose: tuple[str, ...] = ()


class Page:
    """One report in memory that two processes share: one writes, the other reads, neither waits.

    A checksum before the report tells a reader whether what it copied is whole; where it is not,
    for long, since the writer was put aside or ended in the middle of it, the report read last
    stands. Reports are pickled, which is safe for what our own process wrote into a file that only
    its user may open.

    `Page.create` makes one; the other process opens its `path`.
    """

    _SIZE = 1 << 20
    _HEAD = struct.Struct("=QII")  # number of the report, its length and checksum
    _LOOKS = 100

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._SIZE)
        self._last = Report("starting")

    @classmethod
    def create(cls) -> Page:
        """A page without a report, for its maker to `remove`."""
        handle, name = tempfile.mkstemp(prefix="soloist-", suffix=".page")
        os.ftruncate(handle, cls._SIZE)
        os.close(handle)
        return cls(Path(name))

    @property
    def number(self) -> int:
        """Another one after each `write`: a sign of life."""
        return int(self._HEAD.unpack_from(self._memory, 0)[0])

    def write(self, report: Report) -> None:
        """Replace the report. The writer only."""
        text, start = pickle.dumps(report), self._HEAD.size
        self._memory[start : start + len(text)] = text
        self._HEAD.pack_into(self._memory, 0, self.number + 1, len(text), zlib.crc32(text))

    def read(self) -> Report:
        """The latest report that was found whole, "starting" before any. The reader only."""
        start = self._HEAD.size
        for _ in range(self._LOOKS):
            _, length, checksum = self._HEAD.unpack_from(self._memory, 0)
            text = self._memory[start : start + length]
            if text and zlib.crc32(text) == checksum:
                report = pickle.loads(text)
                assert isinstance(report, Report)
                self._last = report
                break
        return self._last

    def remove(self) -> None:
        """Close the page and delete its file."""
        self._memory.close()
        self.path.unlink(missing_ok=True)
