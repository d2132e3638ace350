"""A `Processor` between an input and an output device.

The inline schedule runs the model inside the audio callback: the driver hands a block over and gets
it back processed in the same call, so nothing waits in a queue and nothing is added to the latency
but what the Processor reports. The worker schedule (`worker`) costs one block more.

The driver decides the block size (`block_size=0`): a fixed one costs a whole extra block, even
where it equals the driver's own (measured with PortAudio on JACK). The stream learns the size in
its first callback. Two devices with two clocks are two streams (`duplex`), and the callback is the
output's.

What goes wrong while it runs is counted, never raised: an exception in a PortAudio callback ends
the stream without telling the main thread. A lost sound server tells nobody either: no exception,
no flag, and closing the stream then hangs for minutes (PortAudio issue 820). So the main thread
calls `check` several times a second, and `stop` gives up after a limit.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import DeviceError, DeviceLost
from ..counters import Counters
from ..latency import Latency
from ..processor import Processor
from ..rights import take_realtime
from .budget import LatencyBudget
from .duplex import BridgedStream, close
from .jack_graph import JackOptions, JackWiring
from .jack_stream import JackRoute
from .levels import LevelMeter
from .meters import MeterBoard, Meters
from .quiet import Quiet
from .report import Report, Wiring
from .routes import find_route
from .worker import Worker

Audio = NDArray[np.float32]
Scheduling = Literal["inline", "worker"]

# The largest block drivers ask for in practice.
_MAX_BLOCK = 8192
# How long start() waits for the first callback, check() for the next, stop() for PortAudio.
_START_LIMIT_S = 5.0
_SILENT_LIMIT_S = 2.0
_STOP_LIMIT_S = 3.0


class LiveStream:
    """Audio from `input_device` through `processor` to `output_device`.

    Devices by index, by words of their name or None for the system's default. `sample_rate` in Hz,
    None for the model's where both devices have it and else for one of theirs, which the processor
    resamples. `block_size` in frames, 0 lets the driver decide. `latency` is PortAudio's suggestion
    to the driver: "low", "high" or seconds; between two clocks also by how much callbacks may be
    late (2 ms, 20 ms or as said). `channels` as in `channel_map`. `wait` computes every
    hop, however late, for a server that waits as well; else a late block does without the network.
    `schedule` "inline" runs the model within the callback; "worker" on a thread of its own, which
    comes a block later and gives the model all of a block's time (`Worker`).
    `exclusive` opens the devices for this program alone, where that can be (`driver_settings`).

    Where both devices are JACK's, or `jack` asks for ports that others connect, the stream is a
    client of JACK's own (`JackRoute`), which waits by itself where JACK is in freewheel mode.

    Every method belongs to the main thread. Raises DeviceError where a device is unknown, absent
    or refuses the settings.
    """

    def __init__(
        self,
        processor: Processor,
        input_device: int | str | None = None,
        output_device: int | str | None = None,
        *,
        sample_rate: int | None = None,
        block_size: int = 0,
        channels: int | None = None,
        latency: str | float = "low",
        wait: bool = False,
        exclusive: bool = False,
        jack: JackOptions | None = None,
        schedule: Scheduling = "inline",
    ) -> None:
        if block_size < 0 or block_size > _MAX_BLOCK:
            raise DeviceError(
                f"--block-size takes 1 to {_MAX_BLOCK} frames, or 0 for the driver's, "
                f"found {block_size}"
            )
        self._route = route = find_route(
            input_device,
            output_device,
            jack=jack or JackOptions(),
            preferred_rate=processor.sample_rate,
            sample_rate=sample_rate,
            block_size=block_size,
            channels=channels,
            latency=latency,
            exclusive=exclusive,
        )
        self.input_channels, self.output_channels = route.input_channels, route.output_channels
        self.sample_rate = route.sample_rate
        self.board = MeterBoard(self.sample_rate)
        self.levels = LevelMeter(self.sample_rate, processor.queries, self.input_channels)
        self.fault: Exception | None = None  # the first one a callback met
        self.processor = processor
        self._wait = wait
        self._schedule = schedule
        self._worker: Worker | None = None
        self._realtime = False
        self._quiet = Quiet()
        self._stream: Any = None
        self._learned = 0  # frames of the first callback
        self._varies = False
        self._last_callback_ns = 0
        self._beside_ns = 0

    @property
    def on_jack(self) -> bool:
        """Whether it is a client of JACK's own, which needs no PortAudio."""
        return isinstance(self._route, JackRoute)

    @property
    def active(self) -> bool:
        """Whether the driver says that callbacks are coming."""
        return bool(self._stream is not None and self._stream.active)

    @property
    def latency(self) -> LatencyBudget:
        """The delay of the running stream. After `start`, which learns the block size."""
        return self._route.budget(self._stream, self._processing(), self._learned)

    @property
    def clock_speed(self) -> float | None:
        """By what part the input's clock is found to be faster than the output's, while it runs;
        None where they are one."""
        stream = self._stream
        return stream.bridge.speed if isinstance(stream, BridgedStream) else None

    @property
    def counters(self) -> Counters:
        """What the processor met: bad samples, failed hops."""
        return self.processor.counters

    def start(self) -> None:
        """Prepares and warms up the processor, opens the devices, waits for the first block.
        Once in a stream's life; `stop` belongs after it even when it raised."""
        self.processor.add_tap(self.levels.put_stems)
        try:
            self.processor.prepare(
                self.sample_rate,
                _MAX_BLOCK,
                self.input_channels,
                block=self._route.block or None,
                realtime=not self._wait,
            )
        except ValueError as error:  # a rate, or too many channels, that cannot be resampled
            raise DeviceError(str(error)) from error
        self._warm_up()
        if self._schedule == "worker":
            self._worker = Worker(
                self.processor,
                self.input_channels,
                _MAX_BLOCK,
                self.sample_rate,
                self._book_fault,
            )
            self._worker.waits = self._wait
        self._quiet.begin()
        self._last_callback_ns = time.perf_counter_ns()
        self._open()
        deadline = time.monotonic() + _START_LIMIT_S
        while not self.board.callbacks:
            if time.monotonic() > deadline:
                raise DeviceLost(
                    f"{self._route.pair} opened but gave no audio for {_START_LIMIT_S:g} s"
                )
            time.sleep(0.005)

    def check(self) -> None:
        """Raises DeviceLost when the devices stopped calling. Call it a few times a second."""
        self._route.tend(self._stream)
        silent_s = (time.perf_counter_ns() - self._last_callback_ns) * 1e-9
        if silent_s > _SILENT_LIMIT_S or not self.active:
            raise DeviceLost(
                f"audio device lost: {self._route.pair} gave no audio for {silent_s:.1f} s; is the "
                "device connected and its sound server running?"
            )

    def read_meters(self) -> Meters:
        """Timing and counts."""
        return self.board.read()

    def report(self) -> Report:
        """All figures of the running stream at once."""
        return Report(
            "running",
            Wiring(
                self._route.source,
                self._route.sink,
                self.input_channels,
                self.output_channels,
                self.sample_rate,
                self.processor.sample_rate,
                self.processor.provider,
            ),
            self.latency,
            self.read_meters(),
            self.counters,
            self.levels.read(),
            heard=self.processor.heard,
            realtime=self._realtime,
            fault=f"{type(self.fault).__name__}: {self.fault}" if self.fault else "",
            jack=self._wiring(),
            loose=self._stream.loose if self.on_jack else (),
        )

    def _wiring(self) -> JackWiring | None:
        route, stream = self._route, self._stream
        if not isinstance(route, JackRoute):
            return None
        return replace(route.wiring, connections=stream.connections)

    def stop(self) -> bool:
        """Stops and closes the devices. False when PortAudio did not come back within 3 s, as
        with a dead JACK server: leave such a process by os._exit, a normal exit aborts in it."""
        closer = threading.Thread(target=close, args=(self._stream,), daemon=True)
        closer.start()
        closer.join(_STOP_LIMIT_S)
        self._stream = None
        if self._worker is not None:
            self._worker.close()
        self.processor.remove_tap(self.levels.put_stems)
        self._quiet.end()
        return not closer.is_alive()

    def _open(self) -> None:
        self._stream = self._route.open(
            self._callback,
            self._book_fault,
            self._go_offline,
            lambda: self._processing().total,
            _MAX_BLOCK,
        )
        self._route.start(self._stream)

    def _go_offline(self, offline: bool) -> None:
        """The driver waits for each block from now on, or no longer. A thread of the driver's."""
        if not self._wait:
            self.processor.set_realtime(not offline)
            if self._worker is not None:
                self._worker.waits = offline

    def _processing(self) -> Latency:
        latency = self.processor.latency
        return latency if self._worker is None else latency.plus("worker", self._worker.delay)

    def _warm_up(self) -> None:
        """First runs of a model allocate and load; they happen here instead of in a callback."""
        frames = self._route.block or 512
        silence = np.zeros((frames, self.input_channels), np.float32)
        for _ in range(1 + 4096 // frames):
            self.processor.process(silence, np.empty_like(silence))
        self.processor.reset()
        self.processor.counters.clear()  # the first runs may well have been late
        self._beside_ns = self.processor.beside_ns

    def _callback(self, indata: Audio, outdata: Audio, frames: int, _: Any, status: Any) -> None:
        """One block. Audio thread: counts what goes wrong, prints and raises nothing."""
        started = time.perf_counter_ns()
        self._last_callback_ns = started
        board = self.board
        try:
            if status:
                board.xruns += 1
            if frames > self._learned or (frames != self._learned and not self._varies):
                self._learn(frames)
            self._process(indata, outdata)
            self.levels.put_devices(indata, outdata)
        except Exception as fault:
            outdata.fill(0.0)
            self._book_fault(fault)
        worker = self._worker
        took = time.perf_counter_ns() - started if worker is None else worker.longest_ns()
        before, self._beside_ns = self._beside_ns, self.processor.beside_ns
        board.finish(frames, took, self._beside_ns - before)

    def _book_fault(self, fault: Exception) -> None:
        self.board.faults += 1
        if self.fault is None:
            # Its frames hold the driver's buffers, which do not outlive the stream.
            self.fault = fault.with_traceback(None)

    def _learn(self, frames: int) -> None:
        # The first block arms the processor for exactly this size, the least delay. A driver that
        # then comes with another size has sizes that vary: from there on the worst case is armed.
        if self._varies:  # and this is the largest so far: the worker sees to that itself
            self._learned = frames
            return
        self._realtime = take_realtime()
        self._varies = self._learned > 0 and self._route.sizes_vary
        self._learned = max(self._learned, frames) if self._varies else frames
        block = None if self._varies else frames
        if self._worker is None:
            self.processor.set_block(block)
        else:
            self._worker.arm(block, self._learned)

    def _process(self, indata: Audio, outdata: Audio) -> None:
        player = self._worker or self.processor
        if self.input_channels == self.output_channels:
            player.process(indata, outdata)
        else:  # mono, to be heard on every output
            player.process(indata, outdata[:, :1])
            outdata[:, 1:] = outdata[:, :1]
