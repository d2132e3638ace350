"""What it gains to name the sound that is not wanted, over a list of mixtures of two recordings.

    python -m soloist.benchmarks.negatives MIXTURES.csv [--model solo] [--stride 1] [--json]

Each mixture is separated twice, asked for its sound alone and with the other one as a negative, by
the plain name of its class: the folder that its clip lies in. The clips are looked for beside the
list.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.vocabulary import normalised
from ..streaming.separator import Separator
from ..training.metrics import si_sdr
from ..training.mixture_list import RATE, Mixture, MixtureListError, read_mixtures, render

GROUPS = ((-np.inf, 0.0), (0.0, 6.0), (6.0, 10.0), (10.0, np.inf), (-np.inf, np.inf))
"""Ranges of what the query alone gains, in dB, and all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model or a list that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.negatives")
    parser.add_argument("mixtures", type=Path, help="list of mixtures, its clips beside it")
    parser.add_argument("--model", default="solo", help="shipped name or path of a bundle")
    parser.add_argument("--stride", type=int, default=1, help="take each n-th mixture only")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    if options.stride < 1:
        parser.error(f"--stride takes 1 or more, found {options.stride}")
    try:
        listed = read_mixtures(options.mixtures)
        chosen = [m for m in listed if m.target and len(m.interferers) == 1][:: options.stride]
        gains = np.array(list(_gains(options.model, chosen, options.mixtures.parent)))
    except (SoloistError, MixtureListError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    rows = [_row(gains, *group) for group in GROUPS]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("SI-SDRi in dB, mean; by what the query alone gains")
    print(f"{'alone':<14}{'n':>5}{'alone':>8}{'with':>8}{'gain':>8}{'± error':>9}{'better':>8}")
    for row in rows:
        print(
            "{range:<14}{n:>5}{alone:>8.2f}{with_negative:>8.2f}{gain:>8.2f}{standard_error:>9.2f}"
            "{better:>8.0%}".format_map(row)
        )
    return 0


def _gains(model: str, mixtures: Sequence[Mixture], root: Path) -> Iterator[tuple[float, float]]:
    """SI-SDR improvement of each mixture, asked alone and with the other sound as a negative."""
    bundle = Bundle.open(model)
    # Any words; each mixture asks for its own.
    alone, against = (Separator("sound", negatives=n, model=bundle) for n in ((), "noise"))
    for mixture in mixtures:
        other = Path(mixture.interferers[0].file).parent.name.replace("_", " ")
        if normalised(other) == normalised(mixture.query):
            continue
        audio, target = render(mixture, root)
        alone.ask(mixture.query)
        against.ask(mixture.query, negatives=other)
        before = si_sdr(audio, target)
        yield (
            si_sdr(alone(audio, RATE), target) - before,
            si_sdr(against(audio, RATE), target) - before,
        )


def _row(gains: NDArray[np.float64], low: float, high: float) -> dict[str, float | str]:
    alone, against = gains[(gains[:, 0] >= low) & (gains[:, 0] < high)].T
    more = against - alone
    name = "all" if np.isinf(low) and np.isinf(high) else f"{low:g} to {high:g}"
    return {
        "range": name.replace("-inf to", "below").replace(" to inf", " and more"),
        "n": len(more),
        "alone": float(np.mean(alone)) if len(more) else np.nan,
        "with_negative": float(np.mean(against)) if len(more) else np.nan,
        "gain": float(np.mean(more)) if len(more) else np.nan,
        "standard_error": float(np.std(more, ddof=1) / np.sqrt(len(more))) if len(more) > 1 else 0,
        "better": float(np.mean(more > 0)) if len(more) else np.nan,
    }


if __name__ == "__main__":
    sys.exit(main())
