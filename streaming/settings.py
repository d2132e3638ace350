"""The settings of a mixer, and the weights that they amount to.

With stems S_q, input X and residual X - ΣS_q, gains g_q and r, and the wet share w, the output is

    w·(Σ g_q·S_q + r·(X - ΣS_q)) + (1 - w)·X  =  Σ c_q·S_q + d·X
    c_q = w·(g_q - r),    d = w·r + (1 - w)

so every setting is a point (c, d), bypass is (0, 1), and a straight line between two points is a
linear cross-fade between two settings. When all gains are equal, no stem is left in the sum: the
output is the delayed input itself.

A muted channel has no gain, and where some are soloed, the others have none.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .parameters import LOUDEST_DB, Parameter, decibels, linear, mixer_parameters


class Weights(NamedTuple):
    """One point: `stems` are the c_q, `dry` is d, linear.

    `loudest` and `quietest` are the channels of most and least gain, the residual being the last.
    `ceiling` is the limiter's, linear; infinite while it is off.
    """

    stems: tuple[float, ...]
    dry: float
    loudest: int
    quietest: int
    ceiling: float


class Settings:
    """The values of all parameters. Written by one thread at a time.

    They reach the audio thread as one reference, `weights`, so it never sees half a change.
    Gains are kept as linear factors, so that what is set comes back as it was.
    """

    def __init__(self, stems: int) -> None:
        self.parameters: tuple[Parameter, ...] = mixer_parameters(stems)
        self._by_id = {parameter.id: parameter for parameter in self.parameters}
        self._channels = [*(f"stem{number}" for number in range(1, stems + 1)), "residual"]
        self._values = {parameter.id: parameter.default for parameter in self.parameters}
        self._gains = [linear(self._values[f"{channel}.gain"]) for channel in self._channels]
        self.weights = self._weigh()

    def __getitem__(self, key: str) -> float:
        """The plain value of a parameter; `ValueError` for an id that does not exist."""
        self._find(key)
        return self._values[key]

    def __setitem__(self, key: str, value: float | str) -> None:
        """Set a plain value or a text; `ValueError` for an unknown id or a value out of range."""
        self._store(key, self.check(key, value))
        self.weights = self._weigh()

    def check(self, key: str, value: float | str) -> float:
        """The plain value that a parameter would take; `ValueError` if it would not."""
        parameter = self._find(key)
        return parameter.value(value) if isinstance(value, str) else parameter.checked(value)

    def update(self, values: Mapping[str, float]) -> None:
        """Set several at once, all or, with `ValueError`, none."""
        checked = {key: self.check(key, value) for key, value in values.items()}
        for key, value in checked.items():
            self._store(key, value)
        self.weights = self._weigh()

    @property
    def values(self) -> dict[str, float]:
        """The plain value of each parameter by id."""
        return dict(self._values)

    @property
    def gains(self) -> tuple[float, ...]:
        """The linear gain of each stem, then of the residual, as set; mute and solo apart."""
        return tuple(self._gains)

    def set_gains(self, stem_gains: float | Sequence[float], residual_gain: float) -> None:
        """Set linear gains, one for all stems or one each; `ValueError` unless 0 to +12 dB."""
        count = len(self._channels) - 1
        each = (stem_gains,) * count if isinstance(stem_gains, int | float) else tuple(stem_gains)
        if len(each) != count:
            raise ValueError(f"found {len(each)} stem gains, expected {count}")
        gains = [float(gain) for gain in (*each, residual_gain)]
        for gain in gains:
            if not 0.0 <= gain <= linear(LOUDEST_DB):
                raise ValueError(
                    f"a gain must be a linear factor of 0 to {linear(LOUDEST_DB):.2f}, found {gain}"
                )
        self._gains = gains
        for channel, gain in zip(self._channels, gains, strict=True):
            self._values[f"{channel}.gain"] = min(decibels(gain), LOUDEST_DB)
        self.weights = self._weigh()

    def _find(self, key: str) -> Parameter:
        if key not in self._by_id:
            raise ValueError(f"no parameter {key!r}; there are {', '.join(self._by_id)}")
        return self._by_id[key]

    def _store(self, key: str, value: float) -> None:
        self._values[key] = value
        channel, _, what = key.partition(".")
        if what == "gain":
            self._gains[self._channels.index(channel)] = linear(value)

    def _weigh(self) -> Weights:
        values = self._values
        ceiling = linear(values["ceiling"]) if values["limiter"] else math.inf
        stems = len(self._channels) - 1
        heard = self.heard
        loudest, quietest = heard.index(max(heard)), heard.index(min(heard))
        if values["bypass"]:
            return Weights((0.0,) * stems, 1.0, loudest, quietest, ceiling)
        wet, residual = values["wet"] / 100.0, heard[-1]
        weights = tuple(wet * (gain - residual) for gain in heard[:-1])
        return Weights(weights, wet * residual + (1.0 - wet), loudest, quietest, ceiling)

    @property
    def heard(self) -> list[float]:
        """Linear gains after mute and solo, of each stem and of the residual."""
        values = self._values
        soloed = any(values[f"{channel}.solo"] for channel in self._channels)
        return [
            0.0 if values[f"{channel}.mute"] or (soloed and not values[f"{channel}.solo"]) else gain
            for channel, gain in zip(self._channels, self._gains, strict=True)
        ]
