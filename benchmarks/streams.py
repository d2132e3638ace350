"""How many streams fit: the most whose blocks, one stream after the other, are done in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..runtime.bundle import Bundle
from .hops import Player
from .measuring import quiet
from .results import Fit
from .settings import Setting
from .statistics import PERCENTILES, enough

MOST = 128
_TURN = 300  # blocks between two looks at whether it is lost already


def how_many(
    bundle: Bundle, setting: Setting, percentile: str, tell: Callable[[], object], most: int = MOST
) -> Fit:
    """The most streams for which the percentile of the time of a block of all is within the block.

    Streams are added, each with a session and words of its own, on one thread; twice as many until
    they fit no more, then by halves. Each number is played at the pace of live play until the
    percentile can be told, or misses have told that it is too high.
    """
    player = Player(bundle, replace(setting, streams=1))
    tried: dict[int, float] = {}

    def fits(streams: int) -> bool:
        while len(player.processors) < streams:
            player.add()
        player.playing = streams
        with quiet():
            tried[streams] = _percentile(player, PERCENTILES[percentile], tell)
        return tried[streams] <= player.period_s * 1e6

    good, bad = 0, 1
    while bad <= most and fits(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return Fit(
        name=bundle.spec.name,
        setting=player.setting.facts(),
        percentile=percentile,
        streams=good,
        deadline_us=player.period_s * 1e6,
        tried=tuple(sorted(tried.items())),
    )


def _percentile(player: Player, q: float, tell: Callable[[], object]) -> float:
    """The quantile `q` of a block's duration in microseconds, paced.

    Of fewer blocks than it takes where more are too long already than the quantile allows.
    """
    needed, taken = enough(q), np.empty(0)
    while len(taken) < needed:
        turn = player.play(min(_TURN, needed - len(taken)), paced=True)
        taken = np.concatenate([taken, turn.durations_us])
        tell()
        if np.count_nonzero(taken > player.period_s * 1e6) > (1 - q) * needed:
            break
    return float(np.quantile(taken, q, method="inverted_cdf"))
