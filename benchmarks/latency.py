"""What a hop costs: percentiles, the network's and the engine's share, and where the time goes.

    python -m soloist.benchmarks.latency [MODEL ...] [--queries 1,2,4,8] [--json]

One hop is one block. Two ways of playing: *back to back*, where caches stay warm, and *paced*, a
hop each time one is due as in live play, where the rest of the machine runs in between. Models and
numbers of queries take turns in short rounds, so that a busy moment falls on all of them.
The figures are wall-clock times of `Processor.process` on one thread, garbage collection off, the
first hops of each round not counted. Where the time goes is measured apart, for the fewest queries,
with a clock around each part; what the clock itself takes, some tenths of a microsecond for each
part, is left out.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from .environment import environment, environment_line
from .hops import ROUND, STAGES, Durations, Player, measure
from .stages import PARTS, share_out

PART_ROUNDS = 8
PERCENTILES = (50.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Figures:
    """Durations of hops in microseconds: `stages` [hops, 3] as in `STAGES`, which sum to a hop."""

    queries: int
    paced: bool
    hop_us: float
    stages: Durations

    @property
    def hops(self) -> Durations:
        """Duration of each hop in microseconds, [hops]."""
        whole: Durations = self.stages.sum(axis=1)
        return whole

    def json(self) -> dict[str, object]:
        """Percentiles of a hop, medians of its parts, shares of the time that a hop lasts."""
        hops = self.hops
        medians = np.median(self.stages, axis=0)
        us = {f"p{p:g}": float(v) for p, v in zip(PERCENTILES, self._percentiles(), strict=True)}
        return {
            "queries": self.queries,
            "paced": self.paced,
            "hops": len(hops),
            "us": {**us, "max": float(hops.max())},
            "median_us": dict(zip(STAGES, medians.tolist(), strict=True)),
            "engine_us": self.engine_us,
            "engine_share": self.engine_us / float(np.median(hops)),
            "rtf": us["p50"] / self.hop_us,
            "rtf_p99": us["p99"] / self.hop_us,
            "late": int(np.count_nonzero(hops > self.hop_us)),
        }

    @property
    def engine_us(self) -> float:
        """Median of all but the network."""
        return float(np.median(self.hops - self.stages[:, STAGES.index("network")]))

    def row(self) -> str:
        p = [*self._percentiles(), self.hops.max()]
        window, network, mix = np.median(self.stages, axis=0)
        median = np.median(self.hops)
        return (
            f"{self.queries:>7}  {'paced' if self.paced else 'back to back':<12}"
            + "".join(f"{value:>9.1f}" for value in p)
            + f"{window:>9.1f}{network:>9.1f}{mix:>9.1f}"
            + f"{self.engine_us:>9.1f}{self.engine_us / median:>7.0%}"
            + f"{median / self.hop_us:>8.3f}{np.count_nonzero(self.hops > self.hop_us):>6}"
        )

    def _percentiles(self) -> list[float]:
        return [float(value) for value in np.percentile(self.hops, PERCENTILES)]


HEADER = (
    f"{'queries':>7}  {'':<12}"
    + "".join(f"{name:>9}" for name in ("p50", "p95", "p99", "p99.9", "max"))
    + "".join(f"{name:>9}" for name in ("window", "network", "mix", "engine"))
    + f"{'share':>7}{'RTF':>8}{'late':>6}"
)


def further_queries(figures: Sequence[Figures]) -> dict[int, float]:
    """What each query after the first adds, as a share of a hop with the fewest; by their number.

    Of figures of one way of playing, from one run.
    """
    first = figures[0]
    base = float(np.median(first.hops))
    return {
        more.queries: (float(np.median(more.hops)) / base - 1) / (more.queries - first.queries)
        for more in figures[1:]
    }


@dataclass(frozen=True)
class Measured:
    """All about one model: figures by number of queries, and medians of the parts of a hop."""

    player: Player
    warm: Sequence[Figures]
    paced: Sequence[Figures]
    parts: dict[str, dict[str, float]]

    def json(self, machine: dict[str, object]) -> dict[str, object]:
        """All figures as plain values for JSON."""
        bundle, spec = self.player.bundle, self.player.bundle.spec
        return {
            "environment": machine,
            "model": {"name": spec.name, "version": spec.version, "path": str(bundle.path)},
            "sample_rate": spec.sample_rate,
            "n_fft": spec.frames.n_fft,
            "hop": spec.frames.hop,
            "provider": self.player.session.provider,
            "precision": spec.precision,
            "channels": self.player.channels,
            "figures": [figures.json() for figures in (*self.warm, *self.paced)],
            "further_query": {
                "back_to_back": further_queries(self.warm),
                "paced": further_queries(self.paced),
            },
            "parts_median_us": self.parts,
        }

    def table(self) -> str:
        """The same for people."""
        bundle, channels = self.player.bundle, self.player.channels
        spec, frames = bundle.spec, bundle.spec.frames
        lines = [
            f"{spec.name} {spec.version}, {spec.precision} ({bundle.path.name}): hop {frames.hop} "
            f"samples = {self.warm[0].hop_us:.0f} µs, n_fft {frames.n_fft}, {spec.sample_rate} Hz, "
            f"{channels} channel{'s'[: channels > 1]}, on {self.player.session.provider}, one "
            f"thread; {len(self.warm[0].stages)} hops each back to back, "
            f"{len(self.paced[0].stages)} paced",
            "",
            "µs a hop; window, network, mix: medians of the parts; engine: all but the network and",
            "its share; RTF: p50 of a hop's duration; late: hops that took longer than they last",
            HEADER,
            *(figures.row() for figures in (*self.warm, *self.paced)),
            "",
        ]
        for name, figures in (("back to back", self.warm), ("paced", self.paced)):
            added = [f"{share:+.1%} (of {n})" for n, share in further_queries(figures).items()]
            if added:
                lines.append(f"each further query, {name}: {', '.join(added)}")
        return "\n".join([*lines, "", *self._parts()])

    def _parts(self) -> list[str]:
        warm, paced = self.parts["back_to_back"], self.parts["paced"]
        others = [sum(of.values()) - of["network"] for of in (warm, paced)]
        return [
            f"{'where the time goes, µs':<26}{'back to back':>14}{'paced':>9}",
            *(f"  {name:<24}{warm[name]:>14.1f}{paced[name]:>9.1f}" for name in PARTS),
            f"  {'all but the network':<24}{others[0]:>14.1f}{others[1]:>9.1f}",
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model or device that cannot be used."""
    options = _parse(arguments)
    try:
        groups = [
            [Player(bundle, count, options.device, options.channels) for count in options.queries]
            for bundle in map(Bundle.open, options.models)
        ]
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    machine = environment()
    measured = compare(groups, options.hops, options.paced_hops)
    if options.json:
        found = [each.json(machine) for each in measured]
        print(json.dumps(found if len(found) > 1 else found[0], indent=1))
    else:
        print("\n\n\n".join([environment_line(machine), *(each.table() for each in measured)]))
    return 0


def compare(groups: Sequence[Sequence[Player]], hops: int, paced_hops: int) -> list[Measured]:
    """Measure players, each group those of one model; all of them take turns."""
    players = [player for group in groups for player in group]
    ways = ((False, hops), (True, paced_hops))
    warm, paced = (
        {
            player: Figures(player.queries, way, player.hop_seconds * 1e6, stages)
            for player, stages in zip(players, measure(players, count, paced=way), strict=True)
        }
        for way, count in ways
    )
    few = min(paced_hops, PART_ROUNDS * ROUND)
    return [
        Measured(
            group[0],
            [warm[player] for player in group],
            [paced[player] for player in group],
            {
                name: _medians(share_out(group[0], few, paced=way))
                for name, way in (("back_to_back", False), ("paced", True))
            },
        )
        for group in groups
    ]


def _medians(taken: Durations) -> dict[str, float]:
    return dict(zip(PARTS, np.median(taken, axis=0).tolist(), strict=True))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soloist.benchmarks.latency", description="What a hop costs."
    )
    parser.add_argument(
        "models",
        nargs="*",
        default=["solo"],
        metavar="MODEL",
        help="shipped names or paths of bundles, to be compared in turns",
    )
    parser.add_argument("--queries", type=_counts, default=(1, 2, 4, 8), help="such as 1,2,4,8")
    parser.add_argument("--device", default="cpu", help="cpu, cuda[:n] or auto")
    parser.add_argument("--channels", type=_count, default=1, help="computed as one batch")
    parser.add_argument("--hops", type=_count, default=20_000, help="back to back, for each number")
    parser.add_argument(
        "--paced-hops", type=_count, default=4_000, help="at the hop rate, for each"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, found {text!r}")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(part) for part in text.split(",")}))


if __name__ == "__main__":
    sys.exit(main())
