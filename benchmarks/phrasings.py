"""What other words for a sound cost: the same mixtures, asked in other phrasings.

    python -m soloist.benchmarks.phrasings MIXTURES.csv [--model solo] [--stride 1]

Beside the listed phrase each mixture's target is asked for by the plain name of its class, by
sentences around that name, and by synonyms that no training has seen
(``training/unlearnt_synonyms.csv``). The clips are looked for beside the list.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..streaming.separator import Separator
from ..training.gates import synonyms
from ..training.metrics import si_sdr
from ..training.mixture_list import RATE, Mixture, MixtureListError, read_mixtures, render

SENTENCES = ("I hear {}", "{} nearby", "the noise of {}", "{} in the background")


def phrasings(mixture: Mixture, others: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Ways to ask for a mixture's target, by kind."""
    name = mixture.target_class.replace("_", " ")
    return {
        "its plain name": (name,),
        **{sentence.format("NAME"): (sentence.format(name),) for sentence in SENTENCES},
        "a synonym": tuple(others.get(mixture.target_class, ())),
    }


def compare(
    bundle: Bundle, mixtures: Sequence[Mixture], root: Path
) -> dict[str, list[tuple[float, float]]]:
    """SI-SDR improvements, dB, of the listed phrase and of another one, by kind of the other.

    Of several others of a kind the mean counts, once for each mixture.
    """
    others = synonyms("unlearnt_synonyms")
    separator = Separator("sound", model=bundle)  # any words; each mixture asks for its own
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for mixture in mixtures:
        ways = phrasings(mixture, others)
        words = {mixture.query, *(phrase for some in ways.values() for phrase in some)}
        gains = _gains(separator, mixture, root, words)
        for kind, some in ways.items():
            if some:
                so = float(np.mean([gains[phrase] for phrase in some]))
                found[kind].append((gains[mixture.query], so))
    return found


def _gains(
    separator: Separator, mixture: Mixture, root: Path, words: Iterable[str]
) -> dict[str, float]:
    """SI-SDR improvement of a mixture by what it is asked for."""
    audio, target = render(mixture, root)
    before, gains = si_sdr(audio, target), {}
    for phrase in words:
        separator.ask(phrase)
        gains[phrase] = si_sdr(separator(audio, RATE), target) - before
    return gains


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model or a list that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.phrasings")
    parser.add_argument("mixtures", type=Path, help="list of mixtures, its clips beside it")
    parser.add_argument("--model", default="solo", help="shipped name or path of a bundle")
    parser.add_argument("--stride", type=int, default=1, help="take each n-th mixture only")
    options = parser.parse_args(arguments)
    if options.stride < 1:
        parser.error(f"--stride takes 1 or more, found {options.stride}")
    try:
        chosen = [m for m in read_mixtures(options.mixtures)[:: options.stride] if m.target]
        if not chosen:
            raise MixtureListError(f"{options.mixtures} lists no mixture with a sound to ask for")
        found = compare(Bundle.open(options.model), chosen, options.mixtures.parent)
    except (SoloistError, MixtureListError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    print("SI-SDRi in dB, mean")
    print(f"{'asked by':<24}{'mixtures':>9}{'listed':>8}{'so':>7}{'cost':>7}{'± error':>9}")
    for kind, pairs in found.items():
        listed, so = np.array(pairs).T
        deviation = (listed - so).std(ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan
        print(
            f"{kind:<24}{len(pairs):>9}{listed.mean():>8.2f}{so.mean():>7.2f}"
            f"{(listed - so).mean():>7.2f}{deviation:>9.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
