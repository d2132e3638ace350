"""Whether a setting holds: blocks that it misses, beside those of a client that only copies.

A block is missed where it took longer than it lasts, where the driver says that one was lost, or
where the time for the network ran out. A machine misses blocks of the simplest client, too, so that
client plays in turns with the setting, and its misses are the machine's own.

A setting *holds* a limit where the upper bound of its probability of a miss, Clopper and Pearson's
(Biometrika 26, 1934) at 95 %, is not above it: an observed share would not do, as no misses in 100
blocks say little of one in ten thousand. Without a miss that takes -ln 0.05 / limit blocks.

Where the copying client does not hold the limit either, no program can on this machine. There a
setting is *as good as the machine* if its share of misses is at most the limit above the client's,
and not larger by the conditional test of two Poisson counts (Przyborowski & Wilenski, Biometrika
31, 1940): of all misses of both, those of the setting are as many as or more than theirs by chance
with a probability of 5 % at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from .statistics import CONFIDENCE, enough, miss_probability

Verdict = Literal["holds", "as good as the machine", "misses"]

# Looked at after each turn, so surer than the last word; who is given up wrongly costs latency.
_HOPELESS = 0.99

HELD_LIMIT = 0.01
"""Share of the hops that may have older masks: one more hop of age costs 0.3 dB while it lasts."""


@dataclass(frozen=True)
class Count:
    """Blocks that were due, and those of them that were missed.

    Of `hops` that were heard in time, `held` had masks older than those of the block before, which
    trailing masks may be.
    """

    blocks: int = 0
    misses: int = 0
    hops: int = 0
    held: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Count) -> Count:
        return Count(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def __str__(self) -> str:
        held = f", older masks in {self.held} of {self.hops} hops" if self.held else ""
        return f"{self.misses} of {self.blocks} blocks{held}"

    @property
    def share(self) -> float:
        """Of the blocks, those missed."""
        return self.misses / max(1, self.blocks)

    def at_most(self, confidence: float = CONFIDENCE) -> float:
        """Upper bound of the probability of a miss."""
        return miss_probability(self.misses, self.blocks, confidence)

    def at_least(self, confidence: float = CONFIDENCE) -> float:
        """Lower bound of the probability of a miss."""
        return 1.0 - miss_probability(self.blocks - self.misses, self.blocks, confidence)


def blocks_needed(limit: float) -> int:
    """Blocks without a miss after which a setting holds the limit."""
    return enough(1.0 - limit)


def verdict(ours: Count, machine: Count, limit: float) -> Verdict:
    """What the counts of a setting and of the copying client say."""
    if ours.held > HELD_LIMIT * ours.hops:
        return "misses"
    if ours.at_most() <= limit:
        return "holds"
    noisy = machine.misses > 0 and machine.at_most() > limit
    close = ours.share <= machine.share + limit
    if noisy and close and by_chance(ours, machine) >= 1.0 - CONFIDENCE:
        return "as good as the machine"
    return "misses"


def hopeless(ours: Count, machine: Count, limit: float) -> bool:
    """Whether more blocks would hardly change that it misses."""
    if not ours.misses:
        return False
    allowed = limit + (machine.at_most(_HOPELESS) if machine.blocks else 0.0)
    return ours.at_least(_HOPELESS) > allowed


def by_chance(ours: Count, machine: Count) -> float:
    """Probability of at least as many misses of ours among those of both, were the rates equal."""
    misses = ours.misses + machine.misses
    p = ours.blocks / max(1, ours.blocks + machine.blocks)
    if not 0.0 < p < 1.0:
        return 1.0
    return min(1.0, sum(_binomial(k, misses, p) for k in range(ours.misses, misses + 1)))


def _binomial(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


@dataclass(frozen=True)
class Trial:
    """A setting that was played in turns with the copying client, and what came of it."""

    ours: Count
    machine: Count
    verdict: Verdict


def try_out(
    ours: Callable[[float], Count],
    copying: Callable[[float], Count],
    limit: float,
    seconds: float,
    turn: float,
    tell: Callable[[float], object] = lambda _: None,
) -> Trial:
    """Play both in turns of so many seconds until each had `seconds`, or until it is hopeless.

    `tell` hears the part of it that is done.
    """
    played, machine, done = Count(), Count(), 0.0
    while done < seconds:
        length = min(turn, seconds - done)
        played += ours(length)
        machine += copying(length)
        done += length
        tell(done / seconds)
        if hopeless(played, machine, limit):
            return Trial(played, machine, "misses")
    return Trial(played, machine, verdict(played, machine, limit))
