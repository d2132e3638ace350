"""What a number of durations says, and what it is too small to say.

A percentile is the least of the measured durations that so many of them do not exceed, never one
between two of them. It is given where the largest of `n` durations lies above it with a probability
of 95 %, that is from n = log 0.05 / log q on: 299 for p99, 2,995 for p99.9, 29,956 for p99.99. The
bound of the probability of a miss is Clopper and Pearson's (1934, one-sided). Both take durations
for independent; where a busy moment makes several late in a row, they say too much.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}

_TAIL_POINTS = 160
_STRETCHES = 240


@dataclass(frozen=True)
class Statistics:
    """What `n` durations in microseconds amount to; as JSON it is `dataclasses.asdict`.

    percentiles_us  by name, as in `PERCENTILES`; None where `n` is too small to say
    mean_us, max_us
    deadline_us     what each had, None where there is none
    misses          durations above it
    tail            (µs, share of the durations that are as long or longer), longest first: all that
                    a picture on a logarithmic scale of the share can show
    timeline        (s since the first one began, µs): the longest of each stretch, in their order;
                    empty where it is not known when they began
    """

    n: int
    percentiles_us: Mapping[str, float | None]
    mean_us: float
    max_us: float
    deadline_us: float | None
    misses: int
    tail: tuple[tuple[float, float], ...]
    timeline: tuple[tuple[float, float], ...]

    @classmethod
    def of(
        cls,
        durations_us: ArrayLike,
        deadline_us: float | None = None,
        began_s: ArrayLike | None = None,
    ) -> "Statistics":
        """Of durations [n] in microseconds, and when each began [n] in seconds, rising.

        Raises `ValueError` where there are none.
        """
        durations = np.asarray(durations_us, np.float64)
        if not len(durations):
            raise ValueError("found no durations")
        ordered = np.sort(durations)
        return cls(
            n=len(ordered),
            percentiles_us={name: percentile(ordered, q) for name, q in PERCENTILES.items()},
            mean_us=float(ordered.mean()),
            max_us=float(ordered[-1]),
            deadline_us=deadline_us,
            misses=0 if deadline_us is None else int(np.count_nonzero(ordered > deadline_us)),
            tail=_tail(ordered),
            timeline=() if began_s is None else _timeline(np.asarray(began_s), durations),
        )

    @property
    def rtf(self) -> float | None:
        """Real-time factor: the median by the deadline, which for a block is as long as it lasts.

        The median, as the mean tells of the machine's stalls.
        """
        median = self.percentiles_us["p50"]
        return None if self.deadline_us is None or median is None else median / self.deadline_us

    @property
    def miss_probability(self) -> float:
        """The probability of a miss is not above this, with a confidence of 95 %."""
        return miss_probability(self.misses, self.n)


def percentile(ordered: NDArray[np.float64], q: float) -> float | None:
    """The quantile `q`, in (0, 1), of durations in rising order; None where they are too few."""
    if len(ordered) < enough(q):
        return None
    return float(ordered[math.ceil(q * len(ordered)) - 1])


def enough(q: float) -> int:
    """How many durations it takes to say what the quantile `q` is."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(q))


def miss_probability(misses: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Upper bound of the probability of a miss after `misses` in `n`, by Clopper and Pearson.

    The p at which so few misses or fewer have the probability 1 - `confidence`.
    """
    if misses >= n:
        return 1.0
    counts = np.arange(1, misses + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((n - counts + 1) / counts))])
    counts = np.arange(misses + 1)
    low, high = misses / n, 1.0
    for _ in range(60):
        p = (low + high) / 2
        log_pmf = ways + counts * math.log(p) + (n - counts) * math.log1p(-p)
        if float(np.exp(log_pmf).sum()) > 1 - confidence:
            low = p
        else:
            high = p
    return high


def _tail(ordered: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Points evenly apart on the logarithmic scale, and the longest one."""
    n = len(ordered)
    ranks = np.unique(np.geomspace(1, n, _TAIL_POINTS).round().astype(int))
    return tuple((float(ordered[n - rank]), float(rank / n)) for rank in ranks)


def _timeline(
    began: NDArray[np.float64], durations: NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    starts = np.unique(np.linspace(0, len(durations), _STRETCHES + 1).astype(int)[:-1])
    longest = np.maximum.reduceat(durations, starts)
    seconds = (began[starts] - began[0]).round(4)
    return tuple(zip(seconds.tolist(), longest.tolist(), strict=True))
