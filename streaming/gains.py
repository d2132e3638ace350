"""Gains of the stems and of the residual, wet/dry and bypass, as one ramped set of weights.

With stems S_q, input X and residual X - ΣS_q, gains g_q and r, and the wet share w, the output is

    w·(Σ g_q·S_q + r·(X - ΣS_q)) + (1 - w)·X  =  Σ c_q·S_q + d·X
    c_q = w·(g_q - r),    d = w·r + (1 - w)

so every setting is a point (c, d), bypass is (0, 1), and a straight line between two points is a
linear cross-fade between two settings. When all gains are equal, no stem is left in the sum: the
output is the delayed input itself.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Weights(NamedTuple):
    """One point: `stems` float32 [Q] are the c_q, `dry` is d.

    `fallback` is the weight of the input in a hop without stems: the loudest gain, so that it is
    heard where the stems would have been, and silent where everything is turned down.
    """

    stems: NDArray[np.float32]
    dry: float
    fallback: float


class Gains:
    """Settings on one side, ramped weights on the other.

    Settings may be written by one control thread at any time; they reach the audio thread as one
    reference, so it never sees half a change. `advance`, `snap` and what they write belong to the
    audio thread.
    """

    def __init__(self, stems: int) -> None:
        self._stem_gains = (1.0,) * stems
        self._residual_gain = 0.0
        self._wet = 1.0
        self._bypass = False
        self._ramp_hops = 1
        self._target = self._weights()
        self._goal = self._target
        self._start = np.zeros(stems, np.float32)
        self._start_dry = 0.0
        self._left = 0
        self.stems = np.zeros(stems, np.float32)
        self.dry = 0.0
        self.snap()

    @property
    def values(self) -> tuple[float, ...]:
        """The linear gain of each stem, then of the residual, as set."""
        return (*self._stem_gains, self._residual_gain)

    def set(self, stem_gains: float | Sequence[float], residual_gain: float) -> None:
        """Set linear gains, one for all stems or one each; `ValueError` unless finite and >= 0."""
        count = len(self._stem_gains)
        each = (stem_gains,) * count if isinstance(stem_gains, int | float) else tuple(stem_gains)
        if len(each) != count:
            raise ValueError(f"found {len(each)} stem gains, expected {count}")
        for gain in (*each, residual_gain):
            if not (math.isfinite(gain) and gain >= 0.0):
                raise ValueError(f"a gain must be a linear factor of at least 0, found {gain}")
        self._stem_gains = tuple(float(gain) for gain in each)
        self._residual_gain = float(residual_gain)
        self._target = self._weights()

    @property
    def wet(self) -> float:
        """Share of the separated sound in the output, 0 to 1; the rest is the delayed input."""
        return self._wet

    @wet.setter
    def wet(self, share: float) -> None:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"wet must be 0 to 1, found {share}")
        self._wet = float(share)
        self._target = self._weights()

    @property
    def bypass(self) -> bool:
        """Whether the delayed input alone is heard."""
        return self._bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self._bypass = bool(bypass)
        self._target = self._weights()

    @property
    def fallback(self) -> float:
        """Weight of the input in a hop without stems."""
        return self._goal.fallback

    @property
    def input_weight(self) -> float:
        """Weight of the input that the settings ask for, where a ramp would end."""
        return self._target.dry

    def prepare(self, ramp_hops: int) -> None:
        """Let a change take `ramp_hops` hops, and forget a ramp that is under way."""
        self._ramp_hops = ramp_hops
        self.snap()

    def snap(self) -> None:
        """Take the settings over at once: there is no sound yet that could click."""
        self._goal = self._target
        self._left = 0
        self.stems[:] = self._goal.stems
        self.dry = self._goal.dry

    def advance(self) -> None:
        """Go one hop further towards the settings: writes `stems` in place and `dry`."""
        if self._goal is not self._target:
            self._goal = self._target
            self._start[:] = self.stems
            self._start_dry = self.dry
            self._left = self._ramp_hops
        if self._left == 0:
            return
        self._left -= 1
        stems, dry, _ = self._goal
        rest = self._left / self._ramp_hops
        # Written so that the last hop, with nothing of the start left, lands on the goal exactly.
        np.subtract(self._start, stems, out=self.stems)
        np.multiply(self.stems, rest, out=self.stems)
        np.add(self.stems, stems, out=self.stems)
        self.dry = dry + (self._start_dry - dry) * rest

    def _weights(self) -> Weights:
        if self._bypass:
            return Weights(np.zeros(len(self._stem_gains), np.float32), 1.0, 1.0)
        wet, residual = self._wet, self._residual_gain
        stems = np.array([wet * (gain - residual) for gain in self._stem_gains], np.float32)
        loudest = max(self.values)
        return Weights(stems, wet * residual + (1.0 - wet), wet * loudest + (1.0 - wet))
