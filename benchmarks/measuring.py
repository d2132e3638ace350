"""Settings of models measured in turns, beside empty hops that tell what the machine adds.

Two ways of playing: *back to back*, where caches stay warm, and *paced*, a block each time one is
due as in live play, where the rest of the machine runs in between. All settings take turns of half
a second, and empty hops take theirs, so that a busy moment falls on all of them. Figures are
wall-clock times on one thread, garbage collection off as in live play, the first blocks of each
turn not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ..runtime.errors import SoloistError, TooSlowError
from ..streaming.live.quiet import Quiet
from .hops import Player, Turn, nothing, play
from .results import Measurement
from .stages import share_out
from .statistics import Statistics

Tell = Callable[[], object]

BACK_TO_BACK, PACED = "back to back", "paced"
_TURN_S = 0.5
_FIRST_TURN = 50  # blocks, until it is known how many fill a turn


@dataclass
class Found:
    """What `measure` found of players, in their order; `wakeups` are the empty hops.

    `absent` says what could not be measured, and why.
    """

    measurements: list[Measurement]
    wakeups: Statistics
    absent: dict[str, str] = field(default_factory=dict)


def estimate(players: Sequence[Player], seconds: float) -> float:
    """Seconds that `measure` takes, loading apart."""
    return seconds * (1.75 * len(players) + 1.2 + len(_first_of_each(players)))


def measure(players: Sequence[Player], seconds: float, tell: Tell = lambda: None) -> Found:
    """Measure players, `seconds` at the pace of live play and half as long back to back.

    `tell` is called between two turns. The empty hops are at the pace of the shortest block. Where
    the time goes is measured apart, for the first player of each model. Raises `SoloistError` for a
    network that fails.
    """
    absent: dict[str, str] = {}
    with quiet():
        warm = _back_to_back(players, seconds / 2, tell)
        live = [player for player in players if _goes_live(player, absent)]
        paced, wakeups = _paced(live, seconds, min(each.period_s for each in players), tell)
        parts: dict[Player, Mapping[str, Mapping[str, float]]] = {}
        for player in _first_of_each(players):
            parts[player] = _parts(player, seconds / 2)
            tell()
    found = [
        _measurement(player, warm[player], paced.get(player), parts.get(player))
        for player in players
    ]
    return Found(found, wakeups, absent)


@contextmanager
def quiet() -> Iterator[None]:
    """The interpreter as it is in live play."""
    habits = Quiet()
    habits.begin()
    try:
        yield
    finally:
        habits.end()


def _back_to_back(players: Sequence[Player], seconds: float, tell: Tell) -> dict[Player, Turn]:
    turns: dict[Player, list[Turn]] = {player: [] for player in players}
    while any(_played(taken) < seconds for taken in turns.values()):
        for player, taken in turns.items():
            taken.append(player.play(_blocks(taken), paced=False))
        tell()
    return {player: Turn.together(taken) for player, taken in turns.items()}


def _blocks(taken: Sequence[Turn]) -> int:
    """As many blocks as fill a turn."""
    if not taken:
        return _FIRST_TURN
    median = float(np.median(taken[-1].durations_us)) / 1e6
    return max(_FIRST_TURN, round(_TURN_S / median))


def _played(taken: Sequence[Turn]) -> float:
    return sum(turn.wall_s for turn in taken)


def _goes_live(player: Player, absent: dict[str, str]) -> bool:
    try:
        player.go_live()
    except TooSlowError as error:
        absent[f"{player.bundle.spec.name}, {player.setting}, paced"] = str(error)
        return False
    return True


def _paced(
    players: Sequence[Player], seconds: float, period_s: float, tell: Tell
) -> tuple[dict[Player, Turn], Statistics]:
    turns: dict[Player, list[Turn]] = {player: [] for player in players}
    idle = []
    rounds = max(1, round(seconds / _TURN_S))
    for _ in range(rounds):
        for player, taken in turns.items():
            blocks = max(1, round(seconds / rounds / player.period_s))
            taken.append(player.play(blocks, paced=True))
            tell()
        idle.append(play(nothing, max(1, round(seconds / rounds / period_s)), period_s, paced=True))
        tell()
    stamps = np.concatenate(idle)
    late_us = (stamps[:, 1] - stamps[:, 0]) / 1000.0
    wakeups = Statistics.of(late_us, period_s * 1e6, stamps[:, 1] / 1e9)
    return {player: Turn.together(taken) for player, taken in turns.items()}, wakeups


def _first_of_each(players: Sequence[Player]) -> list[Player]:
    """The first player of each model that has hops to take apart."""
    first: dict[str, Player] = {}
    for player in players:
        if player.timed:
            first.setdefault(str(player.bundle.path), player)
    return list(first.values())


def _parts(player: Player, seconds: float) -> dict[str, dict[str, float]]:
    """Medians in microseconds of the parts of a block, by the way of playing."""
    blocks = max(1, round(seconds / player.period_s))
    ways = {BACK_TO_BACK: False, PACED: True}
    return {name: share_out(player, blocks, paced=paced) for name, paced in ways.items()}


def _halves(turn: Turn) -> dict[str, float]:
    network = turn.network_ns / 1000.0
    return {
        "network": float(np.median(network)),
        "all but the network": float(np.median(turn.durations_us - network)),
    }


def _measurement(
    player: Player,
    warm: Turn,
    paced: Turn | None,
    parts: Mapping[str, Mapping[str, float]] | None,
) -> Measurement:
    spec, setting, period_us = player.bundle.spec, player.setting, player.period_s * 1e6
    if player.faults:
        raise SoloistError(
            f"{spec.name}, {setting}: the network failed in {player.faults} hops, so their time "
            "says nothing; try another device"
        )
    windowed = spec.kind == "windowed"
    processor = player.processors[0]
    if parts is None and paced is not None and not windowed:
        parts = {BACK_TO_BACK: _halves(warm), PACED: _halves(paced)}
    return Measurement(
        name=spec.name,
        setting=setting.facts(),
        provider=processor.provider,
        sample_rate=player.rate,
        block=player.block,
        latency={"block collected": player.block, **dict(processor.latency.parts)},
        # A windowed model makes its windows in between here, however long they take.
        back_to_back=Statistics.of(warm.durations_us, None if windowed else period_us),
        paced=None
        if paced is None
        else Statistics.of(paced.durations_us, period_us, paced.began_s),
        response=None
        if paced is None
        else Statistics.of(paced.responses_us, period_us, paced.began_s),
        windows=player.windows() if windowed else None,
        held=processor.counters.late if windowed and paced is not None else None,
        parts_us=parts,
        cpu_share=None if paced is None else paced.cpu_s / paced.wall_s,
        warm_up_us=tuple(warm.warm_up_us.tolist()),
    )
