"""How far sounds lie from those learned of, in colour, and what that costs.

    python -m soloist.training.colours solo.pt --mixtures data/dev_mixtures.csv \\
      --manifest data/manifest.csv [--stride 1]

A sound's colour is where its energy lies, on average, in octaves; its distance is that to the
nearest recording of its class that was learned from. Figures are sums over the bands of the
spectrogram, see ``calibration.figure``.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..separators.checkpoints import load_solo
from .calibration import figure, hear
from .clips import load_clips
from .mixture_list import RATE, read_mixtures, render
from .phrases import embed

_WINDOW = 2048
_LOWEST_HZ = 20.0
EDGES = (0.15, 0.35, 0.7)
"""Octaves; between these distances are told apart."""


def colour(samples: NDArray[Any], sample_rate: int) -> float:
    """Mean of a sound's frequencies, each weighing as much as its power, in octaves above 1 Hz.

    What lies below 20 Hz counts as 20 Hz.

    Args:
        samples: ``(samples,)``, not silent.
        sample_rate: Hz.
    """
    padded = np.pad(np.asarray(samples, np.float64), (0, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[:: _WINDOW // 2]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW)))).sum(0)
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / sample_rate)
    octaves = np.log2(np.maximum(frequencies, _LOWEST_HZ))
    return float(power @ octaves / power.sum())


def learned(manifest: Path) -> dict[str, NDArray[np.float64]]:
    """Colours of the recordings to learn from, by class."""
    found = defaultdict(list)
    for clip in load_clips(manifest, "train", RATE):
        if clip.samples.any():
            found[clip.label].append(colour(clip.samples, RATE))
    return {label: np.array(colours) for label, colours in found.items()}


def measure(
    checkpoint: Path, mixtures: Path, manifest: Path, stride: int
) -> list[tuple[float, float]]:
    """Distance, in octaves, and SI-SDR improvement, dB, of each mixture's target.

    Targets of classes without a recording to learn from are left out.
    """
    trained, colours = load_solo(checkpoint), learned(manifest)
    listed = [one for one in read_mixtures(mixtures)[::stride] if one.target]
    listed = [one for one in listed if one.target_class in colours]
    embeddings = embed({one.query for one in listed}, trained.facts["encoder"])
    found = []
    for one in listed:
        _, target = render(one, mixtures.parent)
        distance = np.abs(colours[one.target_class] - colour(target, RATE)).min()
        heard = hear(trained.network, one, mixtures.parent, embeddings[one.query])
        found.append((float(distance), figure(torch.sigmoid(heard.logits), heard)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.training.colours")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--mixtures", type=Path, required=True, help="list of mixtures")
    parser.add_argument("--manifest", type=Path, required=True, help="what was learned from")
    parser.add_argument("--stride", type=int, default=1, help="take each n-th mixture only")
    options = parser.parse_args(arguments)
    try:
        found = measure(options.checkpoint, options.mixtures, options.manifest, options.stride)
    except (OSError, ValueError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    distances, figures = np.array(found).reshape(-1, 2).T
    print("SI-SDRi in dB, by the distance to the nearest recording learned from")
    print(f"{'octaves':<12}{'mixtures':>9}{'mean':>7}{'median':>8}{'worse than before':>19}")
    edges = (0.0, *EDGES, np.inf)
    for low, high in pairwise(edges):
        some = figures[(distances >= low) & (distances < high)]
        if len(some):
            name = f"{low:g} to {high:g}" if high < np.inf else f"{low:g} on"
            mean, median, worse = some.mean(), np.median(some), int((some < 0).sum())
            print(f"{name:<12}{len(some):>9}{mean:>7.2f}{median:>8.2f}{worse:>19}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
