"""Latency as arithmetic: named parts in samples, and their sum."""

import math
from dataclasses import dataclass


def adapter_delay(hop: int, block: int | None) -> int:
    """Samples that a hop-wise engine must hold back so that each block of `block` can be filled.

    `block` None: blocks of any and changing size. After N samples the engine has finished
    hop·⌊N/hop⌋ of them, but the host wants N: short by N mod hop. Over the multiples N of `block`
    that remainder is a multiple of g = gcd(hop, block) and takes each of 0, g, ... hop - g; over
    all N it reaches hop - 1. Zeros of that number, sent ahead once, are just enough.
    """
    if hop < 1 or (block is not None and block < 1):
        raise ValueError(f"hop and block must be at least 1 sample, found {hop} and {block}")
    return hop - (1 if block is None else math.gcd(hop, block))


@dataclass(frozen=True)
class Latency:
    """A delay of named parts: `parts` are (name, samples) pairs at `sample_rate` Hertz."""

    sample_rate: int
    parts: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """The whole delay in samples."""
        return sum(samples for _, samples in self.parts)

    @property
    def ms(self) -> float:
        """The whole delay in milliseconds."""
        return self._ms(self.total)

    def plus(self, name: str, samples: int) -> "Latency":
        """The same with one part more, such as what a driver adds."""
        return Latency(self.sample_rate, (*self.parts, (name, samples)))

    def __str__(self) -> str:
        return f"{self.ms:.2f} ms ({self.total} samples at {self.sample_rate} Hz)"

    def table(self) -> str:
        """One line a part and the total below them: name, samples, milliseconds."""
        rows = [*self.parts, ("total", self.total)]
        width = max(len(name) for name, _ in rows)
        return "\n".join(
            f"{name:<{width}}  {samples:>6} samples  {self._ms(samples):>7.2f} ms"
            for name, samples in rows
        )

    def json(self) -> dict[str, object]:
        """The figures as plain values for `json.dumps`."""
        return {
            "sample_rate": self.sample_rate,
            "parts": dict(self.parts),
            "samples": self.total,
            "ms": round(self.ms, 3),
        }

    def _ms(self, samples: int) -> float:
        return 1000 * samples / self.sample_rate
