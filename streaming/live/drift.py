"""How fast one clock's audio must be played for another: a slow loop around a buffer's fill.

Two sound cards agree on 48 kHz, and disagree by some 10 to 200 ppm on how long a second is. Between
them lies a buffer; its fill, less what it should be, is the error, and a resampler that takes
1 + c input samples an output sample is what steers it. With d the clocks' disagreement

    d/dt error = d - c,    c = P·e + I·∫e,    e = the error, smoothed

which is a loop of the second order (F. Adriaensen, "Controlling adaptive resampling", Linux Audio
Conference 2012): P = 2·ω, I = ω² damps it critically at ω = 2π·0.05 Hz. Why as slow as that:

- A clock that jumps by d leaves an error of d/(ω·e) at most, e = 2.718: 0.47 ms for 400 ppm.
- Callbacks come late by up to milliseconds, at random. What this adds to the error passes into the
  pitch, less the more slowly the loop looks at it. Two poles at 1 Hz, twenty times above the loop,
  where they cost it 11 degrees of phase, take the rest: from jitter of ±1 ms at 375 callbacks a
  second, less than -100 dB of noise remain beside a tone of 1 kHz, 20 Hz and more away.
- Errors are cut at 2 ms, so that one callback 30 ms late counts as one of 2.

No more than 1000 ppm are asked for, a third of the least vibrato that is heard (0.7 % from end to
end above 500 Hz, 3.6 Hz below: Zwicker & Fastl, Psychoacoustics, section 7.2), and no change of
more than 500 ppm within a second. The integral stands still while that bound holds c back.
"""

import math

# Angular frequencies in 1/s: of the loop, of the two poles before it.
_LOOP = 2 * math.pi * 0.05
_SMOOTHING = 2 * math.pi * 1.0
_PROPORTIONAL = 2 * _LOOP
_INTEGRAL = _LOOP**2
# Seconds beyond which an error counts no further.
_LARGEST_ERROR = 2e-3
# The bounds of c, and of its change in a second.
LARGEST_SPEED = 1e-3
_SLEW = 5e-4


class DriftLoop:
    """Finds the speed at which a buffer neither fills nor empties."""

    def __init__(self) -> None:
        self.speed = 0.0
        self._drift = 0.0  # the integral: what the clocks disagree by
        self._first = self._second = 0.0

    def recentre(self) -> None:
        """The error was removed by other means: keep only what is known of the clocks."""
        self.speed = self._drift
        self._first = self._second = 0.0

    def update(self, error: float, seconds: float) -> float:
        """`seconds` later the buffer holds `error` seconds more than it should.

        Returns the speed c: output samples are to be 1 + c input samples apart.
        """
        pole = 1.0 - math.exp(-_SMOOTHING * seconds)
        self._first += pole * (_bounded(error, _LARGEST_ERROR) - self._first)
        self._second += pole * (self._first - self._second)
        wanted = _PROPORTIONAL * self._second + self._drift
        speed = _bounded(wanted, LARGEST_SPEED)
        if speed == wanted or self._second * wanted < 0.0:
            self._drift += _INTEGRAL * self._second * seconds
        self.speed += _bounded(speed - self.speed, _SLEW * seconds)
        return self.speed


def _bounded(value: float, bound: float) -> float:
    return min(max(value, -bound), bound)
