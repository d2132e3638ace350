"""Listening beside a separator, and what it changes: whatever else is there is taken off the words.

A network that answers within milliseconds takes one sound for another more easily than one that
hears a second. The listener hears a second, a few times a second, on a thread of its own. Masks are
a linear reading of the conditioning up to a softmax, so what it finds changes the conditioning, and
a hop takes the time it took.
"""

import contextlib
import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.denormals import FlushDenormals
from ..runtime.listener import Listener, Opposition
from .blocks import History
from .orders import OrderThread

Floats = NDArray[np.float32]

_FIRM = 0.1  # presence that is nobody's: where little is heard, little is taken off
_LEAST_PRESENCE = 1e-3
_MOST_LIFT = 4.0
_SHARPNESS = 15.0  # of the choice of classes that a query is
# What people are told: from there on, more than half of it is right on the development mixtures.
_LIKELY, _TOLD = 0.2, 3

Heard = tuple[tuple[str, float], ...]
"""Classes by name, each with its presence of late, 0 to 1; the most present ones first."""


class Presence(NamedTuple):
    """What has been heard in a stream so far, of each class [C].

    `mean` is over the listener's memory, `weight` of how many windows; `latest` the highest of
    late, which fades over the memory, too.
    """

    mean: Floats
    weight: float
    latest: Floats


def remember(before: Presence | None, heard: Floats, fading: float) -> Presence:
    """Presence after one window more, `heard` [C], 0 to 1; `fading` is what is kept of the past."""
    if before is None:
        return Presence(heard, 1.0, heard)
    weight = fading * before.weight + 1.0
    mean = before.mean + (heard - before.mean) / np.float32(weight)
    latest = np.maximum(np.float32(fading) * before.latest, heard)
    return Presence(mean, weight, latest)


class Opposer:
    """Takes what is heard off the conditioning of queries, see `Opposition`.

    `classes` [C, D] is the conditioning of each class that the listener knows.
    """

    def __init__(self, classes: Floats, opposition: Opposition) -> None:
        self._classes, self._opposition = classes, opposition
        self._centre: Floats = classes.mean(axis=0)
        centred = classes - self._centre
        self._directions: Floats = centred / _lengths(centred)

    def __call__(self, conditioning: Floats, queries: int, presence: Presence) -> Floats:
        """The conditioning [Q + N, D] with what is heard taken off its first Q rows."""
        terms, wanted = self._opposition, conditioning[:queries]
        centred = wanted - self._centre
        alike = (centred / _lengths(centred)) @ self._directions.T
        own = np.clip((alike - terms.unlike) / (terms.same - terms.unlike), 0.0, 1.0)
        others = presence.mean * (1.0 - own)
        others /= others.sum(axis=1, keepdims=True) + _FIRM
        nearest = np.exp(_SHARPNESS * (alike - alike.max(axis=1, keepdims=True)))
        nearest /= nearest.sum(axis=1, keepdims=True)
        there = np.clip(nearest @ presence.latest, _LEAST_PRESENCE, 1.0 - _LEAST_PRESENCE)
        surplus = np.log(there / (1.0 - there)) - terms.usual
        lift = terms.bias + terms.lift * np.clip(surplus, -_MOST_LIFT, _MOST_LIFT)
        opposed = conditioning.astype(np.float32)
        opposed[:queries] -= terms.share * (others @ self._classes)
        if terms.offsets:
            opposed[:queries, -terms.offsets :] += lift[:, None]
        return opposed


def _lengths(rows: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.maximum(lengths, np.finfo(np.float32).tiny)


class _Order(NamedTuple):
    """To hear what there is after `hop`, in the stream `epoch`."""

    epoch: int
    hop: int


class _Asked(NamedTuple):
    """What is asked for, and what became of it by what had been heard in the stream `epoch`."""

    conditioning: Floats
    epoch: int
    opposed: Floats


class _Heard(NamedTuple):
    """The same, after the window that ended with `hop`; `asked` tells for which words."""

    epoch: int
    hop: int
    asked: Floats
    opposed: Floats


class Listening:
    """A bundle's listener beside a stream: each hop `hear` it, then ask for its `conditioning`.

    `conditioning` [Q + N, D] is what is asked for at first, of which the first `queries` rows are
    wanted and the others negatives. What it hears is the mean of all channels.

    A window is ordered every so many hops, heard on a thread of its own, and counts so many hops
    later, both as the listener says; where it is not done by then, what was heard before goes on to
    count. So blocks no longer than that give the same samples on a machine that keeps up. With
    `waits`, which any thread may set, it is waited for, and any blocks do.
    """

    def __init__(
        self, bundle: Bundle, listener: Listener, conditioning: Floats, queries: int
    ) -> None:
        hearing, spec = listener.hearing, bundle.spec
        hop_s = spec.frames.hop / spec.sample_rate
        self._every = max(1, round(hearing.every_s / hop_s))
        self._budget = min(round(hearing.budget_s / hop_s), self._every - 1)
        self.queries = queries
        self.waits = False
        self._mono: Floats = np.zeros((1, spec.frames.hop), np.float32)
        hops = -(-listener.samples // spec.frames.hop) + self._every + 2
        self._history = History(1, spec.frames.hop, hops)
        self._epoch = self._hop = 0
        self._asked = _Asked(conditioning, 0, conditioning)
        self._heard: _Heard | None = None
        self._classes = [name.replace("_", " ") for name in hearing.classes]
        opposer = Opposer(bundle.class_conditioning, hearing.opposition)
        self._ear = _Ear(listener, self._history, opposer, conditioning, queries)
        self._thread = _EarThread(self._ear)
        weakref.finalize(self, self._thread.end)

    def ask(self, conditioning: Floats) -> None:
        """Ask for other words, [Q + N, D], another array each time. Control thread."""
        epoch, presence = self._ear.heard
        opposed = conditioning
        if presence is not None:
            opposed = self._ear.opposer(conditioning, self.queries, presence)
        self._ear.asked = conditioning
        self._asked = _Asked(conditioning, epoch, opposed)

    def hear(self, samples: Floats) -> None:
        """Take a hop of audio, [B, hop]. Audio thread; allocates an order every so many hops."""
        np.add.reduce(samples, axis=0, keepdims=True, out=self._mono)
        np.multiply(self._mono, np.float32(1 / len(samples)), out=self._mono)
        self._history.write(self._mono)
        hop, self._hop = self._hop, self._hop + 1
        since = (hop + 1) % self._every
        if since == 0:
            self._thread.post(_Order(self._epoch, hop))
        if since == self._budget and self.waits:
            self._thread.finish()

    @property
    def conditioning(self) -> Floats:
        """What to ask for in the next step, the same array until it changes. Audio thread."""
        asked, found = self._asked, self._ear.found
        if found is not None and found.epoch == self._epoch:
            due = self._hop > found.hop + self._budget
            self._heard = found if due else self._heard
        heard = self._heard
        if heard is not None and heard.asked is asked.conditioning:
            return heard.opposed
        return asked.opposed if asked.epoch == self._epoch else asked.conditioning

    @property
    def heard(self) -> Heard:
        """Up to three classes that are likely in the stream now. Control thread."""
        epoch, presence = self._ear.heard
        if presence is None or epoch != self._epoch:
            return ()
        mean = presence.mean
        likely = [int(index) for index in np.argsort(-mean)[:_TOLD] if mean[index] >= _LIKELY]
        return tuple((self._classes[index], float(mean[index])) for index in likely)

    def reset(self) -> None:
        """Forget the stream; words stay. Audio thread."""
        self._epoch += 1
        self._hop, self._heard = 0, None
        self._history.clear()

    def close(self, limit_s: float = 2.0) -> bool:
        """End the thread; whether it has ended within the limit. Control thread, not playing."""
        return self._thread.close(limit_s)


class _Ear:
    """Hears windows in their order and makes of the words what they should be. One thread."""

    def __init__(
        self,
        listener: Listener,
        history: History,
        opposer: Opposer,
        asked: Floats,
        queries: int,
    ) -> None:
        self._listener, self._history, self.opposer = listener, history, opposer
        self._queries, self._fading = queries, listener.hearing.fading
        self._audio: Floats = np.zeros((1, listener.samples), np.float32)
        self.asked = asked
        self.heard: tuple[int, Presence | None] = (0, None)
        self.found: _Heard | None = None

    def warm_up(self) -> None:
        """Let the first window on this thread take no longer than others; raises nothing."""
        with contextlib.suppress(Exception):  # what is broken shows again when it listens
            self._listener(self._audio[0])

    def listen(self, order: _Order) -> None:
        """Hear the window that ends with a hop; raises nothing, what fails leaves all as it was."""
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            self._try(order)

    def _try(self, order: _Order) -> None:
        start = (order.hop + 1) * self._history.hop - self._audio.shape[1]
        before = max(0, -start)
        self._audio[:, :before] = 0.0
        if not self._history.read(start + before, self._audio[:, before:]):
            return
        found = self._listener(self._audio[0])
        if not np.isfinite(found).all():
            return
        epoch, past = self.heard
        there: Floats = np.float32(1.0) / (np.float32(1.0) + np.exp(-found))
        presence = remember(past if epoch == order.epoch else None, there, self._fading)
        self.heard = order.epoch, presence
        asked = self.asked
        opposed = self.opposer(asked, self._queries, presence)
        self.found = _Heard(order.epoch, order.hop, asked, opposed)


class _EarThread(OrderThread[_Order]):
    """Listens on one thread; of several orders that wait only the newest is heard."""

    def __init__(self, ear: _Ear) -> None:
        self._ear = ear
        super().__init__("soloist-listener")

    def _work(self) -> None:
        with FlushDenormals():
            self._ear.warm_up()
            self._done += 1
            while (order := self._orders.get()) is not None:
                if self._orders.empty():
                    self._ear.listen(order)
                self._done += 1
