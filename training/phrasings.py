"""What other words for a sound cost: the same mixtures, asked in other phrasings.

    python -m soloist.training.phrasings solo.pt --mixtures data/dev_mixtures.csv [--stride 1]

Beside the listed phrase each mixture's target is asked for by the plain name of its class, by
sentences around that name, and by synonyms that no training has seen (``unlearnt_synonyms.csv``).
Figures are sums over the bands of the spectrogram, see ``calibration.figure``.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ..separators.checkpoints import load_solo
from .calibration import figure, hear
from .gates import synonyms
from .mixture_list import Mixture, read_mixtures
from .phrases import embed

SENTENCES = ("I hear {}", "{} nearby", "the noise of {}", "{} in the background")


def phrasings(mixture: Mixture, others: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Ways to ask for a mixture's target, by kind."""
    name = mixture.target_class.replace("_", " ")
    return {
        "its plain name": (name,),
        **{sentence.format("NAME"): (sentence.format(name),) for sentence in SENTENCES},
        "a synonym": tuple(others.get(mixture.target_class, ())),
    }


def compare(checkpoint: Path, mixtures: Path, stride: int) -> dict[str, list[tuple[float, float]]]:
    """SI-SDR improvements, dB, of the listed phrase and of another one, by kind of the other.

    Of several others of a kind the mean counts, once for each mixture.
    """
    trained = load_solo(checkpoint)
    others = synonyms("unlearnt_synonyms")
    listed = [mixture for mixture in read_mixtures(mixtures)[::stride] if mixture.target]
    ways = [phrasings(mixture, others) for mixture in listed]
    words = {word for way in ways for some in way.values() for word in some}
    embeddings = embed(words.union(m.query for m in listed), trained.facts["encoder"])
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for mixture, way in zip(listed, ways, strict=True):
        asked = [mixture.query, *(phrase for some in way.values() for phrase in some)]
        table = np.stack([embeddings[phrase] for phrase in asked])
        heard = hear(trained.network, mixture, mixtures.parent, table)
        figures = iter([figure(torch.sigmoid(logits), heard) for logits in heard.logits])
        own = next(figures)
        for kind, some in way.items():
            if some:
                found[kind].append((own, float(np.mean([next(figures) for _ in some]))))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.training.phrasings")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--mixtures", type=Path, required=True, help="list of mixtures")
    parser.add_argument("--stride", type=int, default=1, help="take each n-th mixture only")
    options = parser.parse_args(arguments)
    try:
        found = compare(options.checkpoint, options.mixtures, options.stride)
    except (OSError, ValueError) as error:
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
