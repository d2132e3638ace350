"""How a host's blocks at one rate become a model's hops at another and come back on time.

Exact whole-number arithmetic: the delay is constant, a whole number of host samples, and the least
with which each block can be filled.

Let a model sample last s = M/L host samples (lowest terms). The inward resampler gives the model's
sample k at host position k·s, the outward one gives host sample j at the model's position
f + j/s. Each waits for a few samples after the position, a and b (`StreamResampler.ahead`).
`pad` zeros go to the engine ahead of its first hop, and z zeros to the host ahead of all.

After n host samples let v = (n - a)/s + pad. The engine has got ⌈v⌉ samples, has finished as many
of them as make whole hops, m, and ⌈(m - b - f)·s⌉ host samples have come back. Host sample j shows
the model's position f + j/s, thus the host's position j + (f - pad - delay)·s. Hence

    T = z + (pad + delay - f)·s         the delay, a whole number if f ≡ pad + delay (mod 1/s)
    z = max ⌊a + (v - m - pad + b + f)·s⌋       over the n at which blocks end: n minus what came

M·(v - m) takes the values c + i·G - M up to hop·M - G + c - M, where G = gcd(block·L, hop·M) and
c = (pad + 1)·M - a·L modulo G, in 1..G. So, whatever f is,

    T = a + ⌊(hop - 1 + (c - G)/M + b + delay)·s⌋

For s = 1, a = b = 0 that is delay + hop - gcd(block, hop), as in `latency.adapter_delay`. Blocks
of any size are those of 1. `pad` is chosen for the least c.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class RatePlan:
    """What `RateRoute.plan` finds.

    pad      zeros ahead of the engine's first hop
    start    position of the outward resampler's first output, in samples of the model
    silence  zeros in the host's queue before the first stems
    delay    host samples from a block handed in to its stems
    adapter  how many of these are there because hops and blocks are not of one size
    """

    pad: int
    start: Fraction
    silence: int
    delay: int
    adapter: int


@dataclass(frozen=True)
class RateRoute:
    """The path of a host's samples through an engine at another rate.

    step       host samples a sample of the model
    hop        the engine's hop, in samples of the model
    delay      from an input hop to its stems, in samples of the model
    ahead_in   `StreamResampler.ahead` from the host's rate to the model's, and
    ahead_out  back again
    start_for  `StreamResampler.start_for` of the latter
    """

    step: Fraction
    hop: int
    delay: int
    ahead_in: int
    ahead_out: int
    start_for: Callable[[int], Fraction]

    def plan(self, block: int | None) -> RatePlan:
        """The least delay for blocks of a size, None for any and changing ones.

        What does for all sizes does for one, too, so a fixed block never costs more.
        """
        if block is not None and block < 1:
            raise ValueError(f"block must be at least 1 sample, found {block}")
        sizes = {1, block or 1}
        plans = [self._plan(size, pad) for size in sizes for pad in (0, self._best_pad(size))]
        # With a pad of 0 the silence is never less than none; a longer pad may leave no room.
        possible = [plan for plan in plans if plan.silence >= 0]
        return min(possible, key=lambda plan: (plan.delay, plan.pad))

    def _best_pad(self, block: int) -> int:
        """Zeros ahead of the first hop for which c is least, gcd(block, M) or less."""
        down, up = self.step.as_integer_ratio()
        period, common = math.gcd(block * up, self.hop * down), math.gcd(block, down)
        waited = self.ahead_in * up
        least = -waited % common or common
        inverse = pow(down // common, -1, period // common)
        return ((least + waited) // common * inverse - 1) % (period // common)

    def _plan(self, block: int, pad: int) -> RatePlan:
        down, up = self.step.as_integer_ratio()
        period = math.gcd(block * up, self.hop * down)
        least = ((pad + 1) * down - self.ahead_in * up) % period or period
        whole = (self.hop - 1 + self.ahead_out + self.delay) * down
        delay = self.ahead_in + (whole + least - period) // up
        shift = self.delay + pad
        start = self.start_for(shift)
        silence = delay - (shift - start) * self.step
        between = ((self.delay + self.hop) * down - period) // up - self.delay * down // up
        return RatePlan(pad, start, int(silence), delay, between)
