"""The last touch to a trained ``solo``: even gates, and masks no surer than they should be.

A network that has learned its recordings by heart is too sure of itself on new ones: where it
takes one sound for another it removes what was asked for. Mask logits ``scale * logit + shift``
hedge, as temperature scaling does for classifiers (Guo et al. 2017). Scale and shift go into the
last layer of the words' network; nothing else changes, and the hop takes the time it took.

The gates are evened out first (``gates``). Scale and shift are chosen on the list, so its figures
flatter them a little; what they gain on classes that they were not chosen on is printed beside.

    python -m soloist.training.calibration runs/solo/checkpoint.pt solo.pt \\
      --mixtures data/dev_mixtures.csv
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..separators.checkpoints import load_solo
from ..separators.solo import Solo
from .gates import even_out, synonyms
from .mixture_list import Mixture, read_mixtures, render
from .phrases import embed
from .trainer import write


def calibrate(network: Solo, scale: float, shift: float) -> None:
    """Turns every mask logit into ``scale * logit + shift``, in place.

    All logits of a query are linear in its gates, the last of which is added to each of them.
    """
    last = network.conditioner[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.mul_(scale)
        last.bias[-1] += shift


SCALES = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
SHIFTS = (-0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True)
class Heard:
    """What a network makes of a mixture, and what masks are scored by.

    Attributes:
        logits: ``(frames, bands)``, or of several queries ``(queries, frames, bands)``.
        mixture: energy of the mixture in each band, ``(frames, bands)``.
        cross: ``Re(X* S)`` summed over each band, ``(frames, bands)``; zero without a target.
        source: energy of the target, zero where there is none.
    """

    logits: Tensor
    mixture: Tensor
    cross: Tensor
    source: float


def figure(mask: Tensor, heard: Heard) -> float:
    """SI-SDR improvement of a mask, or attenuation where there is no target, in dB.

    The sums are taken over the bins of the spectrogram, so the figures stand some tenths of a dB
    beside those of the samples.
    """
    energy = float((mask.square() * heard.mixture).sum())
    total = float(heard.mixture.sum())
    if heard.source == 0.0:
        return 10 * math.log10(total / max(energy, 1e-12 * total))
    found, before = float((mask * heard.cross).sum()), float(heard.cross.sum())
    return _si_sdr(found, energy, heard.source) - _si_sdr(before, total, heard.source)


def _si_sdr(cross: float, estimate: float, source: float) -> float:
    wanted = cross * cross / source
    return 10 * math.log10(max(wanted, 1e-12 * estimate) / max(estimate - wanted, 1e-12 * estimate))


@torch.no_grad()
def hear(network: Solo, mixture: Mixture, root: Path, embedding: NDArray[np.float32]) -> Heard:
    """Runs the network over a mixture of a list whose clips lie under ``root``.

    Args:
        network, mixture, root: the trunk hears the mixture once, whatever is asked.
        embedding: of a query, ``(size,)``, or of several, ``(queries, size)``.
    """
    signals = torch.from_numpy(np.stack(render(mixture, root)).astype(np.float32))
    asked = torch.from_numpy(embedding.reshape(-1, embedding.shape[-1]))
    heard = hear_signals(network, signals, network.condition(asked))
    logits = heard.logits.reshape(*embedding.shape[:-1], *heard.logits.shape[1:])
    return replace(heard, logits=logits)


@torch.no_grad()
def hear_signals(network: Solo, signals: Tensor, conditioning: Tensor) -> Heard:
    """The same of a mixture and its target, ``(2, samples)`` float32.

    Args:
        conditioning: ``(queries, conditioning_size)``, see :meth:`Solo.condition`.
    """
    whole, target = network.config.frontend.analyse(signals)
    logits, energy = listen(network, whole, conditioning)
    cross = (torch.view_as_real(whole) * torch.view_as_real(target)).sum(-1)
    source = float(torch.view_as_real(target).square().sum())
    return Heard(logits, energy, cross @ (network.band_mean > 0).float(), source)


@torch.no_grad()
def listen(network: Solo, spectrum: Tensor, conditioning: Tensor) -> tuple[Tensor, Tensor]:
    """Runs the network over a spectrum from silence on.

    Args:
        network: hears the spectrum once, whatever is asked.
        spectrum: ``(frames, bins)`` complex64.
        conditioning: ``(queries, conditioning_size)``, see :meth:`Solo.condition`.

    Returns:
        Logits of each query's bands, ``(queries, frames, bands)``, and the energy in each band,
        ``(frames, bands)``.
    """
    power = torch.view_as_real(spectrum).square().sum(-1)
    maps, _ = network.trunk((power @ network.band_mean)[None], network.initial_state(1))
    return network.logits(maps, conditioning)[0], power @ (network.band_mean > 0).float()


def choose(
    figures: NDArray[np.float64], present: NDArray[np.bool_], least_attenuation: float
) -> int:
    """Returns the setting of the best mean improvement that is silent enough.

    Args:
        figures: dB, ``(settings, mixtures)``.
        present: ``(mixtures,)``, whether there is a target.
        least_attenuation: dB that absent sounds must be attenuated by, on average.

    Raises:
        ValueError: no setting is silent enough.
    """
    fit = figures[:, ~present].mean(axis=1) >= least_attenuation
    if not fit.any():
        most = figures[:, ~present].mean(axis=1).max()
        raise ValueError(
            f"no setting attenuates absent sounds by {least_attenuation:g} dB, the best by "
            f"{most:.1f}: train for longer, or ask for less with --least-attenuation"
        )
    return int(np.where(fit, figures[:, present].mean(axis=1), -np.inf).argmax())


def held_out(
    figures: NDArray[np.float64],
    present: NDArray[np.bool_],
    labels: NDArray[np.str_],
    least_attenuation: float,
    rounds: int = 20,
) -> float:
    """What the choice gains on classes that it was not made on.

    Half of the classes choose, with all the mixtures that have no target; the other half scores.

    Args:
        figures: as in :func:`choose`; the first setting is the network as it was.
        present, least_attenuation: as in :func:`choose`.
        labels: ``(mixtures,)``, class of what is asked for.
        rounds: random halvings, each taken both ways; the seed is fixed.

    Returns:
        Mean gain in SI-SDR improvement, dB.
    """
    random, classes = np.random.default_rng(0), np.unique(labels[present])
    gains = []
    for _ in range(rounds):
        one = np.isin(labels, random.permutation(classes)[: len(classes) // 2])
        for half in (one, ~one):
            used = half | ~present
            setting = choose(figures[:, used], present[used], least_attenuation)
            gains.append((figures[setting] - figures[0])[~half & present].mean())
    return float(np.mean(gains))


def main(arguments: Sequence[str] | None = None) -> int:
    """Evens out, calibrates and prints; the exit code, 2 for what cannot be used."""
    try:
        _set(_parse(arguments))
    except (OSError, ValueError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    return 0


def _set(options: argparse.Namespace) -> None:
    """Evens out the gates, scores every setting and writes the checkpoint with the best."""
    trained = load_solo(options.checkpoint)
    saved: dict[str, Any] = torch.load(options.checkpoint, weights_only=True)
    listed = read_mixtures(options.mixtures)
    classes = trained.facts["vocabulary"]
    others = synonyms()
    words = {mixture.query for mixture in listed}.union(*classes.values(), *others.values())
    embeddings = embed(words, trained.facts["encoder"])
    even_out(trained.network, embeddings, classes, others)
    settings = [(1.0, 0.0), *itertools.product(options.scales, options.shifts)]
    columns, present = [], []
    for mixture in listed:
        asked = embeddings[mixture.query]
        heard = hear(trained.network, mixture, options.mixtures.parent, asked)
        present.append(heard.source > 0)
        masks = (torch.sigmoid(scale * heard.logits + shift) for scale, shift in settings)
        columns.append([figure(mask, heard) for mask in masks])
    figures, there = np.array(columns).T, np.array(present)
    chosen = choose(figures, there, options.least_attenuation)
    for name, at in (("uncalibrated", 0), ("chosen", chosen)):
        gain, silent = figures[at, there].mean(), figures[at, ~there].mean()
        print(f"{name}: {settings[at]}, SI-SDRi {gain:.2f} dB, absent {silent:.2f} dB")
    labels = np.array([mixture.target_class for mixture in listed])
    gain = held_out(figures, there, labels, options.least_attenuation)
    print(f"chosen on other classes: SI-SDRi {gain:+.2f} dB")
    scale, shift = settings[chosen]
    calibrate(trained.network, scale, shift)
    saved["weights"] = trained.network.state_dict()
    saved["facts"]["calibration"] = {"scale": scale, "shift": shift}
    write(options.output, saved)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soloist.training.calibration")
    parser.add_argument("checkpoint", type=Path, help="what training wrote")
    parser.add_argument("output", type=Path, help="checkpoint to write")
    parser.add_argument(
        "--mixtures", type=Path, required=True, help="list of mixtures to set it on"
    )
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES, help="to choose from")
    parser.add_argument("--shifts", type=float, nargs="+", default=SHIFTS, help="to choose from")
    parser.add_argument("--least-attenuation", type=float, default=15.5, help="dB, absent sounds")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
