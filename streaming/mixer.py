"""Stems and the delayed input into one output, with ramps that are exact to the sample."""

import numpy as np
from numpy.typing import NDArray

from .limiter import Limiter
from .parameters import ramp
from .settings import Settings, Weights

Samples = NDArray[np.float32]


class Mixer:
    """Mixes by the weights of `settings`, gliding from one set of weights to the next.

    A ramp begins with the first sample of the `mix` call that sees a change, and takes
    `parameters.RAMP_SECONDS`; a change within it begins a new one from where it has got to. Each
    weight is then a straight line from sample to sample, whatever the blocks. Settings may be
    written while `mix` runs. Everything here belongs to the audio thread.

    Arithmetic is on arrays of one shape and without gaps: others numpy takes through buffers that
    it allocates in each call.
    """

    def __init__(
        self, settings: Settings, sample_rate: int, channels: int, max_frames: int
    ) -> None:
        self._settings = settings
        self._rest = ramp(sample_rate)
        self._length = len(self._rest)
        self._line = np.empty((self._length, 1), np.float32)
        self._sum = np.empty((max_frames, channels), np.float32)
        self._term = np.empty((max_frames, channels), np.float32)
        self._limiter = Limiter(sample_rate, channels, max_frames)
        self._goal: Weights | None = None
        # A weight for each stem, then one for the input.
        count = len(settings.weights.stems) + 1
        self._weights, self._start, self._target = [0.0] * count, [0.0] * count, [0.0] * count
        self._done = self._length
        self._fresh = True

    def reset(self) -> None:
        """Start anew: the next block takes over the settings at once, there being no sound yet
        that could click.
        """
        self._fresh = True
        self._limiter.reset()

    def mix(self, stems: Samples, dry: Samples, out: Samples) -> None:
        """Write `out` (frames, channels) from `stems` (stems, frames, channels), all finite.

        `dry` (frames, channels) is the input, delayed as the stems are.
        """
        goal = self._settings.weights
        if goal is not self._goal:
            self._aim(goal)
        frames = len(out)
        if self._fresh and frames:
            self._weights[:] = self._target
            self._done, self._fresh = self._length, False
        gliding = min(frames, self._length - self._done)
        if gliding:
            self._glide(stems[:, :gliding], dry[:gliding], self._sum[:gliding])
        if gliding < frames:
            self._hold(stems[:, gliding:], dry[gliding:], self._sum[gliding:frames])
        total = self._sum[:frames]
        self._limiter.process(total, goal.ceiling)
        np.copyto(out, total)

    def _aim(self, goal: Weights) -> None:
        self._goal = goal
        self._start[:] = self._weights
        self._target[:] = [*goal.stems, goal.dry]
        self._done = 0 if self._start != self._target else self._length

    def _hold(self, stems: Samples, dry: Samples, total: Samples) -> None:
        """Steady weights. What weighs nothing is left out, so one input alone stays as it is."""
        term = self._term[: len(total)]
        empty = True
        for index, weight in enumerate(self._target):
            if weight == 0.0:
                continue
            source = stems[index] if index < len(stems) else dry
            if empty:
                np.multiply(source, weight, out=total)
                empty = False
            else:
                np.multiply(source, weight, out=term)
                np.add(total, term, out=total)
        if empty:
            total.fill(0.0)

    def _glide(self, stems: Samples, dry: Samples, total: Samples) -> None:
        count = len(total)
        rest = self._rest[self._done : self._done + count]
        line, term = self._line[:count], self._term[:count]
        total.fill(0.0)
        for index, (start, target) in enumerate(zip(self._start, self._target, strict=True)):
            np.multiply(rest, start - target, out=line[:, 0])
            np.add(line, target, out=line)
            np.copyto(term, line)
            np.multiply(term, stems[index] if index < len(stems) else dry, out=term)
            np.add(total, term, out=total)
            self._weights[index] = float(line[-1, 0])
        self._done += count
        if self._done == self._length:
            self._weights[:] = self._target


class Splitter:
    """Each stem by itself and the residual, where `Mixer` makes one output of them."""

    def __init__(self, channels: int, max_frames: int) -> None:
        self._rest = np.empty((max_frames, channels), np.float32)

    def reset(self) -> None:
        """Nothing glides."""

    def mix(self, stems: Samples, dry: Samples, out: Samples) -> None:
        """Write `out` (stems + 1, frames, channels); the rest as `Mixer.mix`."""
        rest = self._rest[: len(dry)]
        np.copyto(rest, dry)
        for stem in stems:
            np.subtract(rest, stem, out=rest)
        np.copyto(out[:-1], stems)
        np.copyto(out[-1], rest)
