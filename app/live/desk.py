"""What can be turned while playing: the strips of a small mixing desk, worked by keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...streaming.live.plan import LivePlan
from ...streaming.parameters import LOUDEST_DB, SILENT_DB
from ...streaming.settings import Settings

REST = "the rest"
# Below it, a step down is silence.
_LOWEST_DB = -40.0
_STEP_DB = 1.0


@dataclass(frozen=True)
class Strip:
    """A sound asked for, or the rest. `heard`: it has a part in what is heard."""

    name: str
    gain: str
    mute: bool
    solo: bool
    heard: bool


class Desk:
    """The parameters of a plan, as they are turned by `press`; `send` is told each change.

    `words` are looked at whenever they are shown, and may become others, as many.
    """

    def __init__(
        self, words: Sequence[str], plan: LivePlan, send: Callable[[Mapping[str, float]], None]
    ) -> None:
        self._words = words
        self._ids = [*(f"stem{number}" for number in range(1, len(words) + 1)), "residual"]
        self._settings = Settings(len(words))
        if plan.mode == "remove":
            self._settings.set_gains(0.0, 1.0)
        self._settings.update(plan.state)
        self._first = self.levels
        self._send = send
        self.selected = 0

    @property
    def state(self) -> dict[str, float]:
        """All parameters by id."""
        return self._settings.values

    @property
    def levels(self) -> dict[str, Any]:
        """What is heard, bypass and solo apart, as options of `live`: a `gain` in dB for each sound
        and one for the `rest`; -inf for what is silent or mute."""
        settings = self._settings
        each = [
            -math.inf if settings[f"{key}.mute"] or gain <= SILENT_DB else gain
            for key in self._ids
            for gain in [settings[f"{key}.gain"]]
        ]
        return {"gain": each[:-1], "rest": each[-1]}

    @property
    def turned(self) -> bool:
        """Whether the levels are others than at first."""
        return self.levels != self._first

    @property
    def bypass(self) -> bool:
        """Whether only the input is heard."""
        return bool(self._settings["bypass"])

    @property
    def strips(self) -> list[Strip]:
        """The sounds asked for and the rest, as they are now."""
        settings = self._settings
        gains = {parameter.id: parameter for parameter in settings.parameters}
        names = [*self._words, REST]
        return [
            Strip(
                name,
                gains[f"{key}.gain"].text(settings[f"{key}.gain"]),
                bool(settings[f"{key}.mute"]),
                bool(settings[f"{key}.solo"]),
                heard > 0.0 and not self.bypass,
            )
            for name, key, heard in zip(names, self._ids, settings.heard, strict=True)
        ]

    def press(self, key: str) -> None:
        """Do what a key is for; others are for nothing."""
        chosen = self._ids[self.selected]
        match key.lower():
            case "b":
                self._turn("bypass", 1.0 - self._settings["bypass"])
            case "m" | "s":
                switch = f"{chosen}.{'mute' if key.lower() == 'm' else 'solo'}"
                self._turn(switch, 1.0 - self._settings[switch])
            case "+" | "=" | "right":
                gain = self._settings[f"{chosen}.gain"] + _STEP_DB
                self._turn(f"{chosen}.gain", min(max(gain, _LOWEST_DB), LOUDEST_DB))
            case "-" | "_" | "left":
                gain = self._settings[f"{chosen}.gain"] - _STEP_DB
                self._turn(f"{chosen}.gain", gain if gain >= _LOWEST_DB else SILENT_DB)
            case "0":
                self._turn(f"{chosen}.gain", 0.0)
            case "down" | "tab":
                self.selected = (self.selected + 1) % len(self._ids)
            case "up" | "shift-tab":
                self.selected = (self.selected - 1) % len(self._ids)
            case number if number.isdecimal() and 0 < int(number) <= len(self._ids):
                self.selected = int(number) - 1

    def _turn(self, parameter: str, value: float) -> None:
        self._settings[parameter] = value
        self._send({parameter: value})
