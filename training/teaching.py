"""What a joint model teaches a separator that leans on it, found without a separator.

    python -m soloist.training.teaching mini.pt --manifest data/manifest.csv [--classes A,B,C]

Mixtures of two recordings begin with masks of a half for both. Then each cell of the masks moves by
the gradient of the contrastive loss alone, while the two go on to add up to one, as consistency
wants it. A joint model that knows what it hears may still be pleased by masks that separate
nothing: the SI-SDR improvement says so in minutes, where training with it takes an hour.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from ..separators.bimodal import BIMODAL_FRONT
from .bimodal_losses import contrastive
from .captions import Captioned, Captions
from .clips import Clip, load_clips
from .joint import Joint, open_joint
from .metrics import si_sdr

STEPS = (0, 5, 10, 20, 40)
"""After so many the masks are looked at."""
_RATE = 0.15
_SECONDS = 1.0
_TOGETHER = 32  # mixtures, whose phrases are each other's wrong ones
_AUDIBLE = 1e-4  # of full scale; an excerpt may be a pause


@dataclass(frozen=True)
class Look:
    """At the masks after so many steps, or at ideal ones.

    Attributes:
        loss: the contrastive one, a mean over mixtures.
        gains: SI-SDR improvement of each mixture, of its two sounds in the mean, dB.
    """

    loss: float
    gains: Sequence[float]

    @property
    def mean_db(self) -> float:
        """Nan where all sounds are pauses."""
        return statistics.fmean(self.gains) if self.gains else math.nan

    @property
    def error_db(self) -> float:
        """Standard error of the mean; nan of one mixture."""
        count = len(self.gains)
        return statistics.stdev(self.gains) / math.sqrt(count) if count > 1 else math.nan


def measure(joint: Joint, examples: Captioned, count: int) -> tuple[list[Look], Look]:
    """As :func:`follow`, of the first ``count`` examples, 32 at a time."""
    numbers = range(count)
    parts = [numbers[at : at + _TOGETHER] for at in range(0, count, _TOGETHER)]
    weights = [len(part) / count for part in parts]
    moved, ideal = zip(*(follow(joint, examples, part) for part in parts), strict=True)

    def joined(looks: Sequence[Look]) -> Look:
        loss = sum(weight * look.loss for weight, look in zip(weights, looks, strict=True))
        return Look(loss, [gain for look in looks for gain in look.gains])

    return [joined(looks) for looks in zip(*moved, strict=True)], joined(ideal)


def follow(joint: Joint, examples: Captioned, numbers: Sequence[int]) -> tuple[list[Look], Look]:
    """Moves the masks of these examples, of one caption each, by what a joint model likes.

    Returns:
        A look after each of :data:`STEPS`, and one at ideal masks, which are the shares of the
        magnitudes.
    """
    drawn = [examples[number] for number in numbers]
    sounds = torch.from_numpy(np.stack([item["sounds"][0] for item in drawn]))
    phrases = torch.from_numpy(np.stack([item["phrases"] for item in drawn]))
    asked = [text for each in examples.words(phrases)[1] for text in each]
    named = joint.texts(asked).unflatten(0, sounds.shape[:2])
    spectra = BIMODAL_FRONT.analyse(sounds)
    whole = spectra.sum(1, keepdim=True)

    def loss_of(masks: Tensor) -> tuple[Tensor, Tensor]:
        separated = BIMODAL_FRONT.synthesise(masks * whole, sounds.shape[-1])
        heard = joint.sounds(separated.flatten(0, 1)).unflatten(0, sounds.shape[:2])
        scale = joint.log_scale().to(heard)
        return contrastive(heard[:, None], named[:, None].to(heard), scale), separated

    logits = torch.zeros_like(spectra[:, 0].real).requires_grad_(True)
    optimiser, found = Adam([logits], lr=_RATE), []
    for step in range(STEPS[-1] + 1):
        one = torch.sigmoid(logits)
        loss, separated = loss_of(torch.stack([one, 1 - one], 1))
        if step in STEPS:
            found.append(Look(loss.item(), _gains(separated, sounds)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    magnitudes = spectra.abs()
    loss, separated = loss_of(magnitudes / (magnitudes.sum(1, keepdim=True) + 1e-8))
    return found, Look(loss.item(), _gains(separated, sounds))


def _gains(separated: Tensor, sounds: Tensor) -> list[float]:
    """SI-SDR improvement of each mixture's sounds ``(2, samples)`` that are to be heard."""
    gains = []
    for made, wanted in zip(separated.detach().numpy(), sounds.numpy(), strict=True):
        mixture = wanted.sum(0)
        each = [
            si_sdr(estimate, target) - si_sdr(mixture, target)
            for estimate, target in zip(made, wanted, strict=True)
            if target.std() > _AUDIBLE
        ]
        if each:
            gains.append(statistics.fmean(each))
    return gains


def _of(classes: str | None, clips: list[Clip]) -> list[Clip]:
    """The recordings of these classes, separated by commas; `ValueError` for one without any."""
    if classes is None:
        return clips
    wanted, there = classes.split(","), {clip.label for clip in clips}
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise ValueError(f"--classes: the manifest has no recordings of {unknown[0]!r} there")
    return [clip for clip in clips if clip.label in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.training.teaching")
    parser.add_argument("clap", type=Path, help="of clap-mini, or LAION-CLAP's own file")
    parser.add_argument("--vocabulary", type=Path, help="for LAION-CLAP; default: from the hub")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--split", default="train", help="of the manifest; default train")
    parser.add_argument("--classes", help="separated by commas; default: all")
    parser.add_argument("--examples", type=int, default=128, help="default 128")
    options = parser.parse_args(arguments)
    rate = BIMODAL_FRONT.sample_rate
    try:
        joint = open_joint(options.clap, options.vocabulary)
        if options.examples < 1:
            raise ValueError(f"--examples takes 1 or more, found {options.examples}")
        clips = _of(options.classes, load_clips(options.manifest, options.split, rate))
        examples = Captioned(clips, Captions(phrases="class"), 1, round(_SECONDS * rate), seed=0)
        found, ideal = measure(joint, examples, options.examples)
    except (ImportError, OSError, ValueError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    print(f"{'steps':<14}{'loss':>7}{'SI-SDRi, dB':>13}{'+-':>7}")
    for name, look in [*zip(map(str, STEPS), found, strict=True), ("ideal masks", ideal)]:
        print(f"{name:<14}{look.loss:>7.2f}{look.mean_db:>13.2f}{look.error_db:>7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
