"""What a separator takes a sound for that it never heard, when nothing else is there.

    python -m soloist.training.recognition solo.pt --manifest data/manifest.csv [--split dev]

Each recording is asked for every class that was trained on, by the mean of its phrases' gates. The
class that leaves the most of it is what the network takes it for. Where that is another sound, a
mixture with that sound goes wrong whatever its masks are like; what a classifier of such recordings
reaches is therefore what there is to gain.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..separators.checkpoints import load_solo
from ..separators.solo import Solo
from .calibration import listen
from .clips import Clip, load_clips
from .phrases import embed

_SECONDS = 6
_BEST = (1, 3, 5, 10)


@torch.no_grad()
def conditioning_of(
    network: Solo,
    classes: Mapping[str, Sequence[str]],
    embeddings: Mapping[str, NDArray[np.float32]],
) -> dict[str, Tensor]:
    """What each class asks for, ``(conditioning_size,)``: the mean of its phrases'.

    Args:
        classes: their phrases.
        embeddings: of each phrase.
    """
    return {
        label: network.condition(
            torch.from_numpy(np.stack([embeddings[phrase] for phrase in phrases]))
        ).mean(0)
        for label, phrases in classes.items()
    }


@torch.no_grad()
def kept(network: Solo, samples: NDArray[np.int16], conditioning: Tensor) -> NDArray[np.float32]:
    """Share of a recording's energy that each query by itself leaves, ``(queries,)``.

    Args:
        network: its sample rate is that of the recording.
        samples: ``(samples,)``, not silent.
        conditioning: ``(queries, conditioning_size)``, see :meth:`Solo.condition`.
    """
    audio = torch.from_numpy(samples.astype(np.float32) / 32768)
    logits, energy = listen(network, network.config.frontend.analyse(audio), conditioning)
    left = (torch.sigmoid(logits).square() * energy).sum((1, 2))
    shares: NDArray[np.float32] = (left / energy.sum()).numpy()
    return shares


def ranks(network: Solo, clips: Sequence[Clip], classes: dict[str, Tensor]) -> NDArray[np.int64]:
    """The place, from 1, of each recording's own class among all, by what they leave of it.

    Args:
        network: see :func:`kept`.
        clips: recordings of these classes; the first seconds of each count.
        classes: conditioning of each class.
    """
    labels, table = list(classes), torch.stack(list(classes.values()))
    longest = _SECONDS * network.config.sample_rate
    found = []
    for clip in clips:
        shares = kept(network, clip.samples[:longest], table)
        found.append(int((shares >= shares[labels.index(clip.label)]).sum()))
    return np.array(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.training.recognition")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--manifest", type=Path, required=True, help="recordings to try it on")
    parser.add_argument("--split", default="dev", help="which of them")
    options = parser.parse_args(arguments)
    try:
        trained = load_solo(options.checkpoint)
        vocabulary: dict[str, list[str]] = trained.facts["vocabulary"]
        clips = load_clips(options.manifest, options.split, trained.network.config.sample_rate)
        clips = [clip for clip in clips if clip.label in vocabulary and clip.samples.any()]
        if not clips:
            raise ValueError(f"{options.manifest} has no {options.split} recordings of its classes")
        embeddings = embed(set().union(*vocabulary.values()), trained.facts["encoder"])
    except (OSError, ValueError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    classes = conditioning_of(trained.network, vocabulary, embeddings)
    found = ranks(trained.network, clips, classes)
    print(f"{len(clips)} recordings; of {len(classes)} classes, their own is")
    for best in _BEST:
        print(f"among the first {best:<3}{(found <= best).mean():>7.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
