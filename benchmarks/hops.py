"""Hops played and timed, each in its parts: before the network, the network, after it."""

import gc
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.session import HopSession, Session
from ..streaming.processor import Processor

Durations = NDArray[np.float64]

ROUND = 250  # hops played in a row before the next number of queries has its turn
WARM_UP = 20  # hops at the start of a round that are not counted
STAGES = ("window_fft", "network", "mix_overlap_add")


class TimedSession:
    """A session that notes when its step began and ended, in nanoseconds."""

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
        self.began = self.ended = 0

    @property
    def conditioning(self) -> NDArray[np.float32] | None:
        return self._session.conditioning

    def step(self) -> None:
        self.began = time.perf_counter_ns()
        self._step()
        self.ended = time.perf_counter_ns()


class Player:
    """A processor of so many queries and channels, played a hop at a time; keeps the durations."""

    def __init__(self, bundle: Bundle, queries: int, device: str, channels: int = 1) -> None:
        self.bundle = bundle
        self.hop_seconds = bundle.spec.frames.hop / bundle.spec.sample_rate
        # What the words are does not change the time.
        rng = np.random.default_rng(0)
        size = (queries, bundle.conditioning_size)
        conditioning = rng.standard_normal(size).astype(np.float32)
        self.queries, self.channels = queries, channels
        session = Session(bundle, channels=channels, device=device, conditioning=conditioning)
        self.session = TimedSession(session)
        timed: HopSession = self.session
        self._processor = Processor(timed)
        self.hop = bundle.spec.frames.hop
        self._processor.prepare(bundle.spec.sample_rate, self.hop, channels, block=self.hop)
        self._audio = (0.1 * rng.standard_normal((64, self.hop, channels))).astype(np.float32)
        self._out = np.zeros((self.hop, channels), np.float32)

    def play(self, hops: int, *, paced: bool, after: Callable[[], None] | None = None) -> Durations:
        """Durations in microseconds [hops, 3] as in `STAGES`.

        `paced`: each hop when it is due, not at once. `after` is called after each, off the clock.
        """
        session, process, out = self.session, self._processor.process, self._out
        stamps = np.zeros((WARM_UP + hops, 4), np.int64)
        due = time.perf_counter()
        for index in range(WARM_UP + hops):
            if paced:
                due += self.hop_seconds
                time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter_ns()
            process(self._audio[index % 64], out)
            ended = time.perf_counter_ns()
            stamps[index] = began, session.began, session.ended, ended
            if after is not None:
                after()
        durations: Durations = np.diff(stamps[WARM_UP:], axis=1) / 1000.0
        return durations


def measure(players: Sequence[Player], hops: int, *, paced: bool) -> list[Durations]:
    """Durations of at least `hops` hops of each player, in rounds; see `Player.play`."""
    taken: list[list[Durations]] = [[] for _ in players]
    gc.collect()
    gc.disable()
    try:
        for _ in range(math.ceil(hops / ROUND)):
            for player, durations in zip(players, taken, strict=True):
                durations.append(player.play(min(ROUND, hops), paced=paced))
    finally:
        gc.enable()
    return [np.concatenate(durations) for durations in taken]
