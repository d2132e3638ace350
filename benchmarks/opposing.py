"""How much of what a listener hears should be taken off the words: chosen on a list of mixtures.

    python -m soloist.benchmarks.opposing solo.pt listener.pt --mixtures data/dev_mixtures.csv

Prints the figures of the best settings, and what the choice gains on classes that it was not made
on. The first one goes into ``export/listener.py``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..export.listener import OPPOSITION, hearing_of
from ..runtime.listener import Hearing
from ..separators.checkpoints import Checkpoint, load_solo
from ..separators.listener import Listener, load_listener, spectrum
from ..separators.solo import Solo
from ..separators.yamnet import FRAMES
from ..streaming.listening import Opposer, Presence, remember
from ..training.calibration import choose, figure, hear_signals, held_out
from ..training.mixture_list import Mixture, read_mixtures, render
from ..training.phrases import embed
from ..training.recognition import conditioning_of

Floats = NDArray[np.float32]

Setting = tuple[float, float, float]
"""Share, bias and lift."""

NO_LISTENER: Setting = (0.0, 0.0, 0.0)
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BIASES = (-1.1, -1.0, -0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2)
LIFTS = (0.05, 0.1, 0.15, 0.2)
_NOTHING = replace(OPPOSITION, share=0.0, bias=0.0, lift=0.0)
_TOLD = 10


class Opposed:
    """A separator with a listener beside it, over whole mixtures.

    Args:
        solo, listener: their checkpoints.
        root: where mixtures' clips lie.
    """

    def __init__(self, solo: Checkpoint[Solo], listener: Checkpoint[Listener], root: Path) -> None:
        self.network, self.listener, self.root = solo.network, listener.network, root
        self.hearing: Hearing = hearing_of(listener.network, solo.network.config)
        vocabulary, name = solo.facts["vocabulary"], solo.facts["encoder"]
        known = {label: vocabulary[label] for label in listener.network.classes}
        embeddings = embed(set().union(*known.values()), name)
        rows = conditioning_of(self.network, known, embeddings)
        self.classes: Floats = torch.stack(list(rows.values())).numpy()
        front = self.network.config.frontend
        hop_s = front.hop / front.sample_rate
        self.every = round(self.hearing.every_s / hop_s)
        self.budget = round(self.hearing.budget_s / hop_s)

    @torch.no_grad()
    def score(
        self, mixture: Mixture, embedding: Floats, settings: Sequence[Setting]
    ) -> tuple[list[float], bool]:
        """dB by each setting, and whether there is a target.

        Logits are linear in the conditioning and that in each of a setting's numbers, so three of
        them say all.
        """
        signals = torch.from_numpy(np.stack(render(mixture, self.root)).astype(np.float32))
        asked = self.network.condition(torch.from_numpy(embedding)[None]).numpy()
        heard = list(self.presence(signals[0]))
        oppositions = (
            _NOTHING,
            replace(_NOTHING, share=1.0),
            replace(_NOTHING, bias=1.0),
            replace(_NOTHING, lift=1.0),
        )
        rows = [
            row
            for opposer in (Opposer(self.classes, opposition) for opposition in oppositions)
            for row in (asked, *(opposer(asked, 1, presence) for presence in heard))
        ]
        whole = hear_signals(self.network, signals, torch.from_numpy(np.concatenate(rows)))
        logits = whole.logits.unflatten(0, (len(oppositions), -1))
        hops = torch.arange(logits.shape[2])
        newest = (hops + 1 - self.budget).clamp(min=0) // self.every
        alone, *changes = logits[:, newest, hops]
        figures = []
        for setting in settings:
            opposed = alone.clone()
            for amount, change in zip(setting, changes, strict=True):
                opposed += amount * (change - alone)
            figures.append(figure(torch.sigmoid(opposed), replace(whole, logits=opposed)))
        return figures, whole.source > 0

    def presence(self, audio: Tensor) -> Iterator[Presence]:
        """What has been heard after each window."""
        front, hearing = self.network.config.frontend, self.hearing
        step = self.every * front.hop
        samples = (FRAMES - 1) * hearing.hop + hearing.window
        magnitudes = spectrum(functional.pad(audio, (samples - step, 0)), front.sample_rate).abs()
        found = None
        for patch in magnitudes.unfold(0, FRAMES, step // hearing.hop):
            there = torch.sigmoid(self.listener(patch.T[None]))[0].numpy()
            found = remember(found, there, hearing.fading)
            yield found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code, 2 for what cannot be used."""
    options = _parse(arguments)
    try:
        solo, listener = load_solo(options.checkpoint), load_listener(options.listener)
        listed = read_mixtures(options.mixtures)[:: options.every]
        opposed = Opposed(solo, listener, options.mixtures.parent)
        embeddings = embed({mixture.query for mixture in listed}, solo.facts["encoder"])
        settings = [NO_LISTENER, *itertools.product(SHARES, BIASES, LIFTS)]
        scores = [opposed.score(each, embeddings[each.query], settings) for each in listed]
        figures, present = np.array([s for s, _ in scores]).T, np.array([p for _, p in scores])
        choose(figures, present, options.least_attenuation)  # or it says that there is none
    except (OSError, ValueError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    fit = figures[:, ~present].mean(1) >= options.least_attenuation
    order = np.argsort(np.where(fit, -figures[:, present].mean(1), np.inf), kind="stable")
    for at in (0, *order[:_TOLD]):
        row = figures[at]
        told = "without a listener" if at == 0 else "share {:g}, bias {:g}, lift {:g}"
        found = f"SI-SDRi {row[present].mean():.2f} dB, median {np.median(row[present]):.2f} dB"
        print(f"{told.format(*settings[at])}: {found}, absent {row[~present].mean():.2f} dB")
    labels = np.array([mixture.target_class for mixture in listed])
    gain = held_out(figures, present, labels, options.least_attenuation)
    print(f"chosen on other classes: SI-SDRi {gain:+.2f} dB")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.opposing")
    parser.add_argument("checkpoint", type=Path, help="of solo")
    parser.add_argument("listener", type=Path, help="checkpoint of the listener")
    parser.add_argument("--mixtures", type=Path, required=True, help="list to choose on")
    parser.add_argument("--every", type=int, default=1, help="one mixture in so many")
    parser.add_argument("--least-attenuation", type=float, default=15.4, help="dB, absent sounds")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
