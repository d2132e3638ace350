"""A stream of samples at another rate: output at exact positions, after a constant few samples.

The filter is `sinc_fastest` of libsamplerate (a windowed sinc with 97 dB of signal to noise that
passes 80 % of the band; https://libsndfile.github.io/libsamplerate/api_misc.html). soxr, which does
whole files here, gives a stream in bursts of 20 ms and more.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# What libsamplerate can do (SRC_MAX_RATIO, MAX_CHANNELS in its sources).
_MAX_RATIO = 256
_MAX_CHANNELS = 128
CONVERTER = "sinc_fastest"


class StreamResampler:
    """Takes frames at `rate_in` Hertz, gives frames at `rate_out`; `shape` is that of one frame.

    Output k is the input at position `start` + k·`step`, counted in input samples, with zeros
    before the first. It is given as soon as `ahead` samples beyond the sample at or before that
    position have come, in whatever blocks: which samples come out, and after how many, depends on
    the input alone. Blocks have at most `max_frames`.

    libsamplerate adds the steps up in double precision: that moves a position by 1e-7 samples an
    hour at most (its sum, run for all pairs of rates from 8 to 192 kHz). Raises `ValueError` for
    rates or frames that libsamplerate cannot do.
    """

    def __init__(
        self, rate_in: int, rate_out: int, shape: tuple[int, ...], max_frames: int
    ) -> None:
        slow, fast = sorted((rate_in, rate_out))
        if slow < 1 or fast > _MAX_RATIO * slow:
            raise ValueError(
                f"found sample rates of {rate_in} and {rate_out} Hz; one can be at most "
                f"{_MAX_RATIO} times the other"
            )
        channels = math.prod(shape)
        if not 1 <= channels <= _MAX_CHANNELS:
            raise ValueError(
                f"{channels} channels (of audio, times sounds) are to be resampled between "
                f"{rate_in} and {rate_out} Hz, at most {_MAX_CHANNELS} can be: ask for fewer "
                "sounds, or play at the model's rate"
            )
        import samplerate  # here, since at the model's own rate nobody needs it

        self.step = Fraction(rate_in, rate_out)
        self._ratio = rate_out / rate_in
        self.ahead = samples_ahead(self._ratio)
        self.lead = samples_ahead(1.0)
        self._shape = shape
        longest_start = self.lead + math.ceil(self.step) + 1
        self._inbox = _Inbox(max_frames + max(self.ahead, longest_start) + 1, shape)
        # Not its simpler `Resampler`: that one forgets input which it had no reason to look at
        # before its output array was full (at 48 to 8 kHz in blocks of 131, after 0.3 s).
        self._converter = samplerate.CallbackResampler(
            self._inbox.take, self._ratio, CONVERTER, channels
        )
        self._nothing = np.empty((0, *shape), np.float32)
        self.restart()

    def start_for(self, position: int) -> Fraction:
        """The latest start that `restart` can take and from which an output falls on `position`."""
        phase = position % self.step
        if not phase:
            return Fraction(0)
        limit = 1 - self.lead
        return phase - (math.floor((phase - limit) / self.step) + 1) * self.step

    def restart(self, start: Fraction = Fraction(0)) -> None:
        """Forget all input; the next output is at `start`, which is 0 or below 1 - `lead`.

        Other than 0 it lies on zeros that go in ahead of the stream. Two outputs from these, at
        another ratio and dropped, bring the converter to the fraction of a sample.
        """
        converter = self._converter
        converter.reset()
        self._inbox.clear()
        if start:
            before = math.floor(start)
            self._inbox.write(np.zeros((1 - before, *self._shape), np.float32))
            converter.set_starting_ratio(2 / float(1 + start - before))
            converter.read(2)
        converter.set_starting_ratio(self._ratio)
        self._taken = self._made = 0
        # Outputs after n inputs: as many as lie below n - ahead, ceil((n - ahead - start) / step).
        below = (self.ahead + start) / self.step
        whole = math.lcm(below.denominator, self.step.numerator)
        self._rise = int(whole / self.step)
        self._below, self._whole = int(below * whole), whole

    def process(self, block: Samples) -> Samples:
        """Take `block` (frames, *shape), finite; returns what it completes, (any, *shape)."""
        self._inbox.write(block)
        self._taken += len(block)
        due = -((self._below - self._taken * self._rise) // self._whole) - self._made
        if due <= 0:
            return self._nothing
        self._made += due
        made: Samples = self._converter.read(due)
        return made.reshape(-1, *self._shape)


class _Inbox:
    """Input that waits until the converter asks for it; two arrays, as it still reads the last."""

    def __init__(self, capacity: int, shape: tuple[int, ...]) -> None:
        self._arrays = [np.zeros((capacity, *shape), np.float32) for _ in range(2)]
        self._rows = [array.reshape(capacity, -1) for array in self._arrays]
        self._turn = self._fill = 0

    def write(self, block: Samples) -> None:
        end = self._fill + len(block)
        self._arrays[self._turn][self._fill : end] = block
        self._fill = end

    def take(self) -> Samples:
        """All that waits, for the converter, which has used up what it was given before."""
        taken = self._rows[self._turn][: self._fill]
        self._turn, self._fill = 1 - self._turn, 0
        return taken

    def clear(self) -> None:
        self._fill = 0


def samples_ahead(ratio: float) -> int:
    """Samples after one that the filter wants before it gives the output there: tried out."""
    import samplerate

    converter = samplerate.Resampler(CONVERTER, 1)
    silence = np.zeros((1, 1), np.float32)
    count = 0
    while not len(converter.process(silence, ratio)):
        count += 1
    return count
