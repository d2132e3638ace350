"""All that `soloist bench` measures of some models, with a bar that tells how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...benchmarks import cold_start, measuring, streams
from ...benchmarks.derived import derived
from ...benchmarks.environment import environment, watch
from ...benchmarks.hops import Player
from ...benchmarks.results import Measurement, Run
from ...benchmarks.settings import DEVICES, sweep, usual_device
from ...benchmarks.statistics import PERCENTILES, enough
from ...runtime.bundle import Bundle
from ...runtime.errors import DeviceError, SoloistError
from ..console import progress_bar, say
from .quality import Quality

_PROBES = 8  # numbers of streams that are tried, about
_START_S = 1.5  # a process that starts and plays for a second


@dataclass
class _Plan:
    """Players of what is to be measured, and why others are not."""

    players: list[Player] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)


def measured(
    models: Sequence[str],
    choices: Mapping[str, Sequence[Any]],
    seconds: float,
    fit: str | None,
    label: str | None,
) -> Run:
    """Measure all combinations of `choices` for each model; see `Setting` for their names.

    Raises `SoloistError` where a model cannot be opened or none of the combinations is to be had.
    """
    with TemporaryDirectory() as folder:
        plan = _plan([Bundle.open(model) for model in models], _resolved(choices), Path(folder))
        return _measured(plan, seconds, fit, label)


def _measured(plan: _Plan, seconds: float, fit: str | None, label: str | None) -> Run:
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    machine, since = environment(), watch()
    fitted = [p for p in _first_on_each_device(plan.players) if p.timed] if fit else []
    duration = _estimate(plan.players, seconds, fitted, fit)
    count = len(plan.players)
    what = "one setting" if count == 1 else f"{count} settings"
    say(f"measuring {what}, which takes about {duration:.0f} s")
    with _timed_bar(duration) as tell:
        found = measuring.measure(plan.players, seconds, tell)
        measurements = list(_completed(plan.players, found.measurements, tell))
        fits = [streams.how_many(p.bundle, p.setting, fit, tell) for p in fitted] if fit else []
    return Run(
        label=label or str(machine["cpu"]),
        taken=taken,
        environment=machine | since(),
        measurements=tuple(measurements),
        wakeups=found.wakeups,
        absent=plan.absent | found.absent,
        fits=tuple(fits),
    )


@contextmanager
def _timed_bar(duration: float) -> Iterator[Callable[[], None]]:
    """A bar that moves with the clock, each time it is told to."""
    began = time.perf_counter()
    with progress_bar("measuring", thread=False) as bar:
        yield lambda: bar(min(0.99, (time.perf_counter() - began) / duration))


def _estimate(
    players: Sequence[Player], seconds: float, fitted: Sequence[Player], fit: str | None
) -> float:
    starts = len(_first_on_each_device(players)) * (cold_start.PROCESSES + 1) * _START_S
    blocks = enough(PERCENTILES[fit]) if fit else 0
    probes = sum(_PROBES * blocks * player.period_s for player in fitted)
    return measuring.estimate(players, seconds) + starts + probes


def _resolved(choices: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The choices with what "auto" and "all" stand for among the devices."""
    meant = {"auto": [usual_device()], "all": list(DEVICES)}
    devices = [name for given in choices["device"] for name in meant.get(given, [given])]
    return {**choices, "device": list(dict.fromkeys(devices))}


def _plan(bundles: Sequence[Bundle], choices: Mapping[str, Sequence[Any]], folder: Path) -> _Plan:
    """Players of all combinations; bundles in another precision are made in `folder`."""
    plan = _Plan()
    first: SoloistError | None = None
    bundle_in = cache(partial(derived, folder=folder))
    for bundle, setting in product(bundles, sweep(choices)):
        try:
            made = bundle_in(bundle, setting.precision or bundle.spec.precision)
            plan.players.append(Player(made, setting))
        except DeviceError as error:  # for every setting on it
            first = first or error
            plan.absent[f"device {setting.device}"] = str(error)
        except SoloistError as error:
            first = first or error
            plan.absent[f"{bundle.spec.name}, {setting}"] = str(error)
    if first is not None and not plan.players:
        raise first
    return plan


def _first_on_each_device(players: Sequence[Player]) -> list[Player]:
    """Of each model, device and precision: what starts, and takes streams, in a way of its own."""
    first: dict[tuple[str, str, str | None], Player] = {}
    for player in players:
        first.setdefault(_kind(player), player)
    return list(first.values())


def _kind(player: Player) -> tuple[str, str, str | None]:
    return str(player.bundle.path), player.setting.device, player.setting.precision


def _completed(
    players: Sequence[Player], measurements: Sequence[Measurement], tell: Callable[[], None]
) -> Iterator[Measurement]:
    """The measurements with what is found apart from the others: cold start and quality."""
    started = {
        _kind(player): cold_start.cold_start(
            player.bundle, replace(player.setting, streams=1), tell
        )
        for player in _first_on_each_device(players)
    }
    quality = Quality()
    for player, measurement in zip(players, measurements, strict=True):
        yield replace(
            measurement,
            cold_start=started[_kind(player)],
            si_sdri_db=quality.gain(player.bundle, player.setting),
        )
        tell()
