"""Everything that a live stream is made of, as plain values that can go to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.bundle import Bundle
from ..pace import Budget
from ..processor import Fallback, Mode, Processor
from .jack_graph import JackOptions
from .recorder import Recorder, RecordingPlan
from .report import Report
from .stream import LiveStream, Scheduling

Schedule = Literal[Scheduling, "trailing"]
"""Where the network runs: in the callback, a block behind it, or beside it for the next block."""


@dataclass(frozen=True)
class LivePlan:
    """Arguments of a `Processor` and of a `LiveStream`; `state` are values of parameters by id.

    `schedule` "trailing" makes a processor with trailing masks, the others are a stream's.
    `recording` says where input and stems are recorded, if they are. `awake` keeps processors from
    sleeping between blocks, see `awake.Awake`. `patient`: devices that are not there are waited
    for.
    """

    model: str
    mode: Mode = "keep"
    fallback: Fallback = "dry"
    linked: bool = True
    device: str = "auto"
    threads: int = 1
    conditioning: NDArray[np.float32] | None = None
    negatives: int = 0
    state: Mapping[str, float] = field(default_factory=dict)
    input_device: int | str | None = None
    output_device: int | str | None = None
    sample_rate: int | None = None
    block_size: int = 0
    channels: int | None = None
    latency: str | float = "low"
    wait: bool = False
    schedule: Schedule = "inline"
    exclusive: bool = False
    awake: bool = False
    advance: int | None = None
    lookahead: int | None = None
    budget: Budget = "advance"
    recording: RecordingPlan | None = None
    jack: JackOptions = field(default_factory=JackOptions)
    patient: bool = False

    def resumed(self, report: Report) -> LivePlan:
        """The plan for going on where a stream was lost whose last report this is.

        With JACK its connections are made again, by and by, also those made in a patchbay.
        """
        wiring = self.jack.wiring if report.jack is None else report.jack
        return replace(self, patient=True, jack=replace(self.jack, wiring=wiring))

    def open(self, make: type[Processor] = Processor) -> LiveStream:
        """The stream, not started, with a processor that `make` makes.

        Raises `SoloistError` where it cannot be made.
        """
        return self.stream(self.processor(make))

    def processor(self, make: type[Processor] = Processor) -> Processor:
        """The processor, made by `make`. Raises `SoloistError` where the model cannot be used."""
        processor = make(
            Bundle.open(self.model),
            mode=self.mode,
            fallback=self.fallback,
            linked=self.linked,
            device=self.device,
            threads=self.threads,
            conditioning=self.conditioning,
            negatives=self.negatives,
            advance=self.advance,
            lookahead=self.lookahead,
            budget=self.budget,
            trailing=self.schedule == "trailing",
        )
        processor.restore(self.state)
        return processor

    def stream(self, processor: Processor) -> LiveStream:
        """The stream, not started. Raises `DeviceError` where a device cannot be had."""
        return LiveStream(
            processor,
            self.input_device,
            self.output_device,
            sample_rate=self.sample_rate,
            block_size=self.block_size,
            channels=self.channels,
            latency=self.latency,
            wait=self.wait,
            schedule="worker" if self.schedule == "worker" else "inline",
            exclusive=self.exclusive,
            jack=self.jack,
        )

    def recorder(self, stream: LiveStream) -> Recorder | None:
        """What records that stream, not started; None where nothing is to be recorded.

        Raises `AudioFileError` where the files cannot be made.
        """
        if self.recording is None:
            return None
        return Recorder(self.recording, stream.processor, stream.sample_rate, stream.input_channels)
