"""A sound whose delay can be told to a fraction of a sample: an exponential sweep, deconvolved.

A sweep and not a maximum-length sequence: what the way back distorts, and clocks that drift while
it lasts, spread the one's energy over the whole response as noise, and of the other only shift the
harmonics to before the response, where nobody looks (Farina, AES 108, 2000; Müller & Massarani,
JAES 49(6), 2001).

The recording's spectrum by the sweep's, within a band and under a smooth window, is the response of
the way, band-limited; its largest peak is the delay. The peak is looked for between the samples on
the band-limited response itself, which its spectrum gives at any time: first eighths of a sample,
then the parabola through three of those, which is off by less than 1e-4 samples. What is left is
the noise: its share is the peak over the largest value beside it, which is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SWEEP_S = 0.4
LONGEST_S = 0.6
"""The longest delay that is looked for."""
LEVEL = 0.25
"""The sweep's peak: -12 dBFS."""
# In Hertz, and as a part of the rate: below, converters cut; above, their filters turn the phase.
_LOW_HZ, _HIGH = 60.0, 0.42
_FADE_S = 0.01
# Nearer to the peak than this is the peak.
_PEAK_S = 0.002
_FINE = 8
# In 2,000 recordings of noise alone one peak stood out from the others by 3.2 dB at most.
CLEAR_DB = 6.0


@dataclass(frozen=True)
class Echo:
    """A probe that came back.

    `delay` in samples, `gain_db` of the way, `inverted` where its polarity is, `clarity_db` the
    peak of the response over the largest value that is not within 2 ms of it.
    """

    delay: float
    gain_db: float
    inverted: bool
    clarity_db: float


class Probe:
    """The sweep at a rate in Hertz, and its echo in a recording."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.sweep = _sweep(sample_rate)
        self.period = len(self.sweep) + round(LONGEST_S * sample_rate)
        """Frames from one sweep to the next, of which each recording has as many."""
        self._size = 1 << (len(self.sweep) + self.period).bit_length()
        spectrum = np.fft.rfft(self.sweep, self._size)
        hertz = np.fft.rfftfreq(self._size, 1 / sample_rate)
        low, high = _LOW_HZ, _HIGH * sample_rate
        inside = (hertz > low) & (hertz < high)
        # Even on the logarithmic scale, as the sweep is, the band would be mostly bass.
        band = np.where(inside, np.sin(math.pi * (hertz - low) / (high - low)) ** 2, 0.0)
        self._inverse = np.where(inside, band / np.where(inside, spectrum, 1.0), 0.0)
        self._scale = 1.0 / float(band.sum())

    def echo(self, recording: Samples) -> Echo | None:
        """What came back in `period` frames [frames] from a sweep's first on; None: no clear peak.

        The delay is that of the strongest way back, up to `LONGEST_S`.
        """
        response = self._inverse * np.fft.rfft(recording, self._size)
        coarse = np.fft.irfft(response, self._size) * (self._size / 2 * self._scale)
        heights = np.abs(coarse[: self.period - len(self.sweep)])
        at, guard = int(np.argmax(heights)), round(_PEAK_S * self.sample_rate)
        peak = float(heights[at])
        beside = np.concatenate([heights[: max(0, at - guard)], heights[at + guard + 1 :]])
        clarity = _db(peak / max(float(beside.max()), 1e-12 * peak)) if peak > 0.0 else 0.0
        if clarity < CLEAR_DB:
            return None
        delay, value = self._refine(response, at)
        return Echo(delay, _db(abs(value)), value < 0.0, clarity)

    def _refine(self, response: NDArray[np.complex128], at: int) -> tuple[float, float]:
        """Where the band-limited response is largest within a sample of `at`, and its value."""
        bins = np.flatnonzero(response)
        offsets = np.arange(-_FINE, _FINE + 1) / _FINE
        turns = np.exp(2j * math.pi / self._size * np.outer(at + offsets, bins))
        values = (turns @ response[bins]).real * self._scale
        best = int(np.argmax(np.abs(values[1:-1]))) + 1
        before, middle, after = values[best - 1 : best + 2]
        bend = before - 2 * middle + after
        shift = 0.5 * (before - after) / bend if bend else 0.0
        value = float(middle - 0.25 * (before - after) * shift)
        return float(at + offsets[best] + shift / _FINE), value


@dataclass(frozen=True)
class RoundTrip:
    """Sweeps that were played one after the other, and what came back of them.

    `starts` are the frames at which the heard ones began, `echoes` theirs; `played` of them all.
    """

    sample_rate: int
    played: int
    starts: tuple[int, ...]
    echoes: tuple[Echo, ...]

    @property
    def delay(self) -> float:
        """In samples: the median."""
        return float(np.median(self._delays))

    @property
    def spread(self) -> float:
        """The longest delay less the shortest, in samples."""
        return float(np.ptp(self._delays))

    @property
    def gain_db(self) -> float:
        return float(np.median([echo.gain_db for echo in self.echoes]))

    @property
    def clarity_db(self) -> float:
        """Of the least clear one."""
        return min(echo.clarity_db for echo in self.echoes)

    @property
    def inverted(self) -> bool:
        return sum(echo.inverted for echo in self.echoes) * 2 > len(self.echoes)

    @cached_property
    def drift_ppm(self) -> float:
        """By how much the delay grows with time: what two clocks disagree by, unless it is bridged.

        The median of the slopes between any two sweeps (Theil and Sen), which one that was
        disturbed does not move. 0 where only one was heard.
        """
        at, delays = np.asarray(self.starts, float), self._delays
        first, second = np.triu_indices(len(at), 1)
        if not len(first):
            return 0.0
        return float(1e6 * np.median((delays[second] - delays[first]) / (at[second] - at[first])))

    @property
    def _delays(self) -> NDArray[np.float64]:
        return np.asarray([echo.delay for echo in self.echoes])


def listen(probe: Probe, recording: Samples, starts: Sequence[int]) -> RoundTrip:
    """The echoes of sweeps that began at these frames of the recording [frames]."""
    found = {
        start: echo
        for start in starts
        if (echo := probe.echo(recording[start : start + probe.period])) is not None
    }
    return RoundTrip(probe.sample_rate, len(starts), tuple(found), tuple(found.values()))


def _sweep(sample_rate: int) -> Samples:
    """Exponential, `SWEEP_S` long, faded in and out so that it does not click."""
    frames = round(SWEEP_S * sample_rate)
    seconds = np.arange(frames) / sample_rate
    low, high = 0.8 * _LOW_HZ, 1.1 * _HIGH * sample_rate
    rate = math.log(high / low) / SWEEP_S
    phase = 2 * math.pi * low / rate * np.expm1(rate * seconds)
    fade = np.minimum(1.0, np.minimum(seconds, seconds[::-1]) / _FADE_S)
    return (LEVEL * np.sin(math.pi / 2 * fade) ** 2 * np.sin(phase)).astype(np.float32)


def _db(ratio: float) -> float:
    return 20 * math.log10(ratio) if ratio > 0.0 else -math.inf
