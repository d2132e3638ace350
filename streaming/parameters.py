"""What a host may turn: names, units, ranges, defaults and text forms.

A parameter has one plain value, a float, as in CLAP: decibels for gains, per cent for shares, 0 or
1 for switches. Its `id` never changes and is what settings are stored by.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["dB", "%", "switch"]

SILENT_DB = -80.0
"""The lower end of a gain means no sound at all; its text is "-inf dB"."""
LOUDEST_DB = 12.0
# A change takes this long: below 10 ms it is heard as a click, above 50 ms as sluggish.
RAMP_SECONDS = 0.010

_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


@dataclass(frozen=True)
class Parameter:
    """One control: `minimum` <= value <= `maximum`, all in `unit`; `name` is for people."""

    id: str
    name: str
    unit: Unit
    minimum: float
    maximum: float
    default: float

    @property
    def stepped(self) -> bool:
        """Whether only whole values exist."""
        return self.unit == "switch"

    def checked(self, value: float) -> float:
        """The value, rounded if stepped; `ValueError` if it is out of range or no number."""
        if not isinstance(value, int | float | np.number):
            raise ValueError(f"{self.id}: found {value!r}, expected a number")
        value = float(round(value)) if self.stepped and math.isfinite(value) else float(value)
        if not self.minimum <= value <= self.maximum:
            silent = self._silent(self.minimum)
            least = f"{self.minimum:.1f} dB" if silent else self.text(self.minimum)
            raise ValueError(
                f"{self.id}: found {value:g}, expected {least} to {self.text(self.maximum)}"
                f"{', or -inf dB' if silent else ''}"
            )
        return value

    def text(self, value: float) -> str:
        """How people read a value: "-6.0 dB", "-inf dB", "75 %", "on"."""
        match self.unit:
            case "dB":
                # Zero added, since -0.04 would be read as "-0.0".
                return "-inf dB" if self._silent(value) else f"{round(value, 1) + 0.0:.1f} dB"
            case "%":
                return f"{value:g} %"
            case "switch":
                return "on" if value else "off"

    def value(self, text: str) -> float:
        """What people type, with or without the unit; `ValueError` for what is no value."""
        word = text.strip().casefold()
        if self.stepped and word in (*_ON, *_OFF):
            return float(word in _ON)
        try:
            number = float(word.removesuffix(self.unit.casefold()).strip())
        except ValueError:
            raise ValueError(
                f"{self.id}: found {text!r}, expected such as {self.text(self.default)!r}"
            ) from None
        silent = self.unit == "dB" and number == -math.inf and self.minimum == SILENT_DB
        return self.checked(self.minimum if silent else number)

    def _silent(self, value: float) -> bool:
        return self.minimum == SILENT_DB and value <= SILENT_DB


def mixer_parameters(stems: int) -> tuple[Parameter, ...]:
    """Gain, mute and solo of each stem and of the residual, then what there is once.

    The ids are "stem1.gain", "stem1.mute", "stem1.solo", "stem2.gain" ..., "residual.gain" ...,
    "wet", "bypass", "limiter" and "ceiling".
    """
    channels = [(f"stem{number}", f"Stem {number}") for number in range(1, stems + 1)]
    found: list[Parameter] = []
    for key, name in [*channels, ("residual", "Residual")]:
        level = SILENT_DB if key == "residual" else 0.0
        found += [
            Parameter(f"{key}.gain", f"{name} gain", "dB", SILENT_DB, LOUDEST_DB, level),
            Parameter(f"{key}.mute", f"{name} mute", "switch", 0.0, 1.0, 0.0),
            Parameter(f"{key}.solo", f"{name} solo", "switch", 0.0, 1.0, 0.0),
        ]
    return (
        *found,
        Parameter("wet", "Wet", "%", 0.0, 100.0, 100.0),
        Parameter("bypass", "Bypass", "switch", 0.0, 1.0, 0.0),
        Parameter("limiter", "Limiter", "switch", 0.0, 1.0, 0.0),
        Parameter("ceiling", "Limiter ceiling", "dB", -24.0, 0.0, -0.3),
    )


def ramp(sample_rate: int) -> NDArray[np.float32]:
    """What is left of the way after each sample of a change, float32; the last one is exactly 0."""
    length = math.ceil(RAMP_SECONDS * sample_rate)
    return (np.arange(length)[::-1] / length).astype(np.float32)


def linear(decibels: float) -> float:
    """A gain in dB as a factor; `SILENT_DB` and below are 0."""
    return 10.0 ** (decibels / 20.0) if decibels > SILENT_DB else 0.0


def decibels(factor: float) -> float:
    """A factor of at least 0 as a gain in dB, no lower than `SILENT_DB`."""
    return max(SILENT_DB, 20.0 * math.log10(factor)) if factor > 0.0 else SILENT_DB
