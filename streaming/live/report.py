"""What a live stream says of itself, and the page of memory on which one process tells another."""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import tempfile
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

    A number before the report is odd while it is being written and another one afterwards, so a
    reader can tell whether what it copied is whole. Reports are pickled, which is safe for what our
    own process wrote into a file that only its user may open.

    `Page.create` makes one; the other process opens its `path`.
    """

    _SIZE = 1 << 16
    _HEAD = struct.Struct("=QI")  # number, length

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._SIZE)

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
        return self._head()[0]

    def write(self, report: Report) -> None:
        """Replace the report. The writer only."""
        text = pickle.dumps(report)
        number, _ = self._head()
        self._HEAD.pack_into(self._memory, 0, number + 1, 0)
        self._memory[self._HEAD.size : self._HEAD.size + len(text)] = text
        self._HEAD.pack_into(self._memory, 0, number + 2, len(text))

    def read(self) -> Report:
        """The latest report, "starting" before there is any. The reader only."""
        while True:
            number, length = self._head()
            text = self._memory[self._HEAD.size : self._HEAD.size + length]
            if number % 2 == 0 and self._head()[0] == number:
                break
        report = pickle.loads(text) if text else Report("starting")
        assert isinstance(report, Report)
        return report

    def remove(self) -> None:
        """Close the page and delete its file."""
        self._memory.close()
        self.path.unlink(missing_ok=True)

    def _head(self) -> tuple[int, int]:
        number, length = self._HEAD.unpack_from(self._memory, 0)
        return int(number), int(length)
