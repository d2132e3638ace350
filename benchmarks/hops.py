"""Blocks played and timed: back to back or each when it is due, with a model or with nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.network import MaskNetwork
from ..runtime.session import HopSession, Session
from ..streaming.processor import Processor
from .settings import Setting, open_processor, random_words
from .statistics import Statistics

Durations = NDArray[np.float64]
Stamps = NDArray[np.int64]

WARM_UP_S = 0.05
"""Of audio at the start of a turn is not counted: it fetches code and memory anew."""
_BLOCKS = 64  # of noise, in turns


def play(
    work: Callable[[int], object],
    blocks: int,
    period_s: float,
    *,
    paced: bool,
    after: Callable[[], object] | None = None,
) -> Stamps:
    """Do `work(number)` for so many blocks; when each was due, began and ended, ns [blocks, 3].

    `paced`: each when it is due, as cyclictest wakes up and a driver calls. Where one ends too late
    for the next, those that were due meanwhile are lost, so that no stall counts twice, and as many
    fewer are played. Else each is due when the one before has ended. `after` is called after each,
    off the clock.
    """
    stamps = np.zeros((blocks, 3), np.int64)
    period = round(1e9 * period_s)
    first = due = time.perf_counter_ns()
    for number in range(blocks):
        now = time.perf_counter_ns()
        if paced:
            due += max(1, -(-(now - due) // period)) * period
            if due - first > blocks * period and number:
                return stamps[:number]
            time.sleep((due - now) / 1e9)
            began = time.perf_counter_ns()
        else:
            due = began = now
        work(number)
        stamps[number] = due, began, time.perf_counter_ns()
        if after is not None:
            after()
    return stamps


def nothing(number: int) -> None:
    """The work of an empty hop: what is then measured is the machine."""


class TimedSession:
    """A session that adds up the nanoseconds of its steps."""

    def __init__(self, session: Session) -> None:
        self.spec = session.spec
        self.spectrum = session.spectrum
        self.mixture = session.mixture
        self.delay = session.delay
        self.stems = session.stems
        self.queries = session.queries
        self.state_size = session.state_size
        self.provider = session.provider
        self.reset = session.reset
        self.set_conditioning = session.set_conditioning
        self._step = session.step
        self._session = session
        self.spent = 0

    @property
    def conditioning(self) -> NDArray[np.float32] | None:
        return self._session.conditioning

    def step(self) -> None:
        began = time.perf_counter_ns()
        self._step()
        self.spent += time.perf_counter_ns() - began


@dataclass
class Turn:
    """What a player did in one turn, or in several put together.

    `stamps` as of `play`, `network_ns` [blocks] of each block's steps; `cpu_s` of all threads in
    `wall_s`, and `warm_up_us` of the blocks before, which count nowhere else.
    """

    stamps: Stamps
    network_ns: NDArray[np.int64]
    cpu_s: float
    wall_s: float
    warm_up_us: Durations

    @classmethod
    def together(cls, turns: Sequence["Turn"]) -> "Turn":
        """All of them as one; the warm-up is that of the first."""
        return cls(
            np.concatenate([turn.stamps for turn in turns]),
            np.concatenate([turn.network_ns for turn in turns]),
            sum(turn.cpu_s for turn in turns),
            sum(turn.wall_s for turn in turns),
            turns[0].warm_up_us,
        )

    @property
    def durations_us(self) -> Durations:
        """Of each block, from its beginning to its end."""
        return (self.stamps[:, 2] - self.stamps[:, 1]) / 1000.0

    @property
    def responses_us(self) -> Durations:
        """Of each block, from when it was due to its end."""
        return (self.stamps[:, 2] - self.stamps[:, 0]) / 1000.0

    @property
    def began_s(self) -> Durations:
        """When each block began, by a clock of its own."""
        return self.stamps[:, 1] / 1e9


class Player:
    """A setting of a model, ready to play blocks of noise; `playing` streams of it, None for all.

    Raises `SoloistError` for a setting that is not to be had here.
    """

    def __init__(self, bundle: Bundle, setting: Setting) -> None:
        self.bundle, self.setting = bundle, setting.of(bundle)
        spec, block = bundle.spec, self.setting.block or 0
        self.rate, self.block = spec.sample_rate, block
        self.period_s = block / spec.sample_rate
        self.warm_up = max(2, round(WARM_UP_S / self.period_s))
        rng = np.random.default_rng(0)
        shape = (_BLOCKS, block, setting.channels)
        self._audio = (0.1 * rng.standard_normal(shape)).astype(np.float32)
        self._out = np.zeros(shape[1:], np.float32)
        self.timed: list[TimedSession] = []
        self.processors: list[Processor] = []
        self.playing: int | None = None
        for _ in range(setting.streams):
            self.add()

    def add(self) -> None:
        """One stream more."""
        words = random_words(self.bundle, self.setting.queries or 1)
        try:
            processor = open_processor(self.bundle, self.setting, words, self._time)
        except ValueError as error:  # the model's queries are folded into it
            raise SoloistError(f"{self.bundle.spec.name}: {error}") from error
        self._prepare(processor)
        self.processors.append(processor)

    def go_live(self) -> None:
        """Let windows be made on a thread of their own from now on, as live play does.

        Raises `TooSlowError` where they take longer than windows can be apart.
        """
        if self.bundle.spec.kind == "windowed":
            for processor in self.processors:
                self._prepare(processor, realtime=True)

    def _prepare(self, processor: Processor, *, realtime: bool = False) -> None:
        processor.prepare(
            self.rate, self.block, self.setting.channels, block=self.block, realtime=realtime
        )

    def play(self, blocks: int, *, paced: bool) -> Turn:
        """Play so many blocks after the warm-up."""
        warm = play(self.work, self.warm_up, self.period_s, paced=paced)
        cpu, wall, spent = time.process_time(), time.perf_counter(), self._spent()
        after: list[int] = []
        stamps = play(
            self.work, blocks, self.period_s, paced=paced, after=lambda: after.append(self._spent())
        )
        return Turn(
            stamps,
            np.diff(after, prepend=spent),
            time.process_time() - cpu,
            time.perf_counter() - wall,
            (warm[:, 2] - warm[:, 1]) / 1000.0,
        )

    def work(self, number: int) -> None:
        """Play one block of each stream."""
        audio, out = self._audio[number % _BLOCKS], self._out
        for processor in self.processors[: self.playing]:
            processor.process(audio, out)

    def windows(self, runs: int = 10) -> Statistics:
        """What so many windows of a windowed model take, by the advance that they may take.

        Of noise, so that no part of the network finds nothing to do; the first one is left out.
        """
        spec, setting = self.bundle.spec, self.setting
        network = MaskNetwork(
            self.bundle,
            channels=setting.channels,
            device=setting.runs_on,
            threads=setting.threads,
            conditioning=random_words(self.bundle, setting.queries or 1),
        )
        np.random.default_rng(0).standard_normal(dtype=np.float32, out=network.spectrogram)
        network()
        stamps = play(lambda number: network(), runs, self.period_s, paced=False)
        advance_s = (setting.advance or 0) * spec.frames.hop / spec.sample_rate
        return Statistics.of((stamps[:, 2] - stamps[:, 1]) / 1000.0, advance_s * 1e6)

    @property
    def faults(self) -> int:
        """Hops that the network gave nothing for; their time says nothing."""
        return sum(processor.counters.faults for processor in self.processors)

    def _time(self, session: Session) -> HopSession:
        self.timed.append(TimedSession(session))
        return self.timed[-1]

    def _spent(self) -> int:
        return sum(session.spent for session in self.timed)
