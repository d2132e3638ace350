"""The recipe for ``solo``: supervised mix-and-separate, asked in words.

Every mixture is asked for each of its sounds and for one it does not hold. The trunk hears the
mixture once for all of them, so a query costs one small matrix product.

    python -m soloist.training.solo --manifest manifest.csv --output runs/solo --steps 4000
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..separators.solo import Solo, SoloConfig
from .clips import load_clips, manifest_hash, vocabulary
from .development import Development
from .losses import BandEnergies, log_error, mask_error
from .mixture_list import Mixture
from .mixtures import Batch, MixtureMaker
from .phrases import ENCODER, embed
from .trainer import rate, write

AVERAGE_DECAY = 0.999


class Trainer:
    """A network, its optimisers and a running average of its weights."""

    def __init__(self, config: SoloConfig, peak_rate: float) -> None:
        self.network = Solo(config)
        self.average = deepcopy(self.network).requires_grad_(False)
        # Muon (Jordan et al. 2024) for the dense products in the middle, AdamW for the rest
        dense: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            middle = parameter.ndim == 2 and not name.startswith(("readout", "patch_place"))
            (dense if middle else rest).append(parameter)
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                dense, lr=peak_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(rest, lr=peak_rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.peak_rate = peak_rate
        self.step_count = 0
        self.curve: list[dict[str, float]] = []

    def step(self, power: Tensor, queries: Tensor, energies: BandEnergies, share: float) -> Tensor:
        """Takes one step at ``share`` of the peak learning rate; returns the loss."""
        network = self.network
        state = network.initial_state(len(power))
        with torch.autocast("cpu", torch.bfloat16):
            maps, _ = network.trunk(power, state)
            logits = network.logits(maps, network.condition(queries))
        loss = _loss(logits.float(), energies)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = share * self.peak_rate
            optimiser.step()
            optimiser.zero_grad()
        self.step_count += 1
        decay = min(AVERAGE_DECAY, 1 - 1 / (self.step_count + 1))
        for mean, new in zip(self.average.parameters(), network.parameters(), strict=True):
            mean.lerp_(new.detach(), 1 - decay)
        return loss.detach()

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Writes ``checkpoint.pt``, which export reads, and ``resume.pt``, which goes on."""
        checkpoint = {
            "config": self.network.config.to_dict(),
            "weights": self.average.state_dict(),
            "facts": facts,
            "curve": self.curve,
        }
        rest = {
            "raw_weights": self.network.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step_count,
        }
        for name, content in (("checkpoint.pt", checkpoint), ("resume.pt", checkpoint | rest)):
            write(folder / name, content)

    def resume(self, folder: Path) -> dict[str, Any]:
        """Continues from what :meth:`save` wrote; returns the facts of the run so far."""
        saved = torch.load(folder / "resume.pt", weights_only=True)
        self.average.load_state_dict(saved["weights"])
        self.network.load_state_dict(saved["raw_weights"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.step_count, self.curve = saved["step"], saved["curve"]
        facts: dict[str, Any] = saved["facts"]
        return facts


def _loss(logits: Tensor, energies: BandEnergies) -> Tensor:
    """Error of every query asked alone, and of all of a mixture's queries asked together.

    The weights put the decibels of the error and the cross-entropy of the mask on one scale, where
    a useful step moves either by some tenths: the first is the figure that counts, the second
    teaches from the first step on and in quiet places, too.
    """
    alone, together = torch.sigmoid(logits), Solo.masks(logits)
    absent = energies.source == 0
    padding = absent.clone()
    padding[:, -1] = False  # the last query is the absent sound that was asked for
    weight = torch.where(absent, 0.3, 1.0) * ~padding
    total = 0.15 * log_error(alone, energies, floor=1e-2) + 2 * mask_error(alone, energies)
    total = total + 0.04 * log_error(together, energies, floor=1e-2)
    return (total * weight).sum() / weight.sum()


@torch.no_grad()
def band_energies(network: Solo, batch: Batch) -> tuple[Tensor, BandEnergies]:
    """Transforms a batch and reduces it to bands.

    Returns:
        The mixture's mean band powers, ``(batch, frames, bands)``, which the network hears, and
        the energies that the losses need.
    """
    present = torch.from_numpy(batch.present)
    sources = torch.from_numpy(batch.sources)[present]
    spectra = network.config.frontend.analyse(sources)
    spectra *= torch.from_numpy(batch.equalisers)[present][:, None]
    owner = present.nonzero()[:, 0]
    mixture = torch.zeros(len(present), *spectra.shape[1:], dtype=spectra.dtype)
    mixture.index_add_(0, owner, spectra)
    spread = (network.band_mean > 0).float()
    mixture_power = torch.view_as_real(mixture).square().sum(-1)
    cross = torch.view_as_real(mixture[owner]).mul_(torch.view_as_real(spectra)).sum(-1) @ spread
    everything = torch.zeros(*present.shape, *cross.shape[1:])
    everything[present] = cross
    everything = nn.functional.pad(everything, (0, 0, 0, 0, 0, 1))  # the absent query
    source = torch.zeros(everything.shape[:2])
    source[:, :-1][present] = torch.view_as_real(spectra).square().sum((1, 2, 3))
    energies = BandEnergies((mixture_power @ spread)[:, None], everything, source)
    return mixture_power @ network.band_mean, energies


@torch.no_grad()
def _separate(
    network: Solo,
    words: Mapping[str, NDArray[np.float32]],
    audio: NDArray[np.float32],
    mixture: Mixture,
) -> NDArray[np.float32]:
    """What the network makes of a listed mixture, as late as nothing."""
    front = network.config.frontend
    padded = torch.from_numpy(np.pad(audio, (0, 2 * front.hop)))
    spectrum = torch.view_as_real(front.analyse(padded))[None]
    asked = network.condition(torch.from_numpy(words[mixture.query])[None])
    stems, _ = network(spectrum, asked, network.initial_state(1))
    separated: NDArray[np.float32] = front.synthesise(torch.view_as_complex(stems[0, 0])).numpy()
    return separated[: len(audio)]


def _batches(maker: MixtureMaker, size: int) -> Iterator[Batch]:
    """Draws batches, the next one while the last is learned from."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(maker.batch, size)
        while True:
            batch = coming.result()
            coming = pool.submit(maker.batch, size)
            yield batch


def _leg(options: argparse.Namespace, first_step: int) -> dict[str, Any]:
    """The settings of one leg of a run, as JSON holds them; folders are nobody's business."""
    settings = {k: v for k, v in vars(options).items() if not isinstance(v, Path)}
    return {"first_step": first_step, **settings}


def train(options: argparse.Namespace) -> None:
    """Runs the recipe; every ``--check`` steps it scores the average weights and saves."""
    torch.manual_seed(options.seed)
    config = SoloConfig(**json.loads(options.config))
    trainer = Trainer(config, options.rate)
    earlier = trainer.resume(options.resume) if options.resume else {}
    clips = load_clips(options.manifest, "train", config.sample_rate)
    embeddings = embed({p for clip in clips for p in clip.phrases}, options.encoder)
    bins = config.frontend.bins
    seed = options.seed + trainer.step_count
    maker = MixtureMaker(clips, embeddings, config.sample_rate, options.seconds, bins, seed)
    development = Development(options.mixtures) if options.mixtures else None
    asked = {mixture.query for mixture in development.mixtures} if development else set()
    words = embed(asked, options.encoder)
    facts = {
        "manifest_sha256": manifest_hash(options.manifest),
        "clips": len(clips),
        "encoder": options.encoder,
        "vocabulary": vocabulary(clips),
        # one entry for each time the run was started or taken up again
        "legs": [*earlier.get("legs", []), _leg(options, trainer.step_count)],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    losses: list[Tensor] = []
    minutes_before = trainer.curve[-1]["minutes"] if trainer.curve else 0.0
    started = time.monotonic()
    for batch in _batches(maker, options.batch):
        power, energies = band_energies(trainer.network, batch)
        share = rate(trainer.step_count, options.steps, 100, options.cool_down)
        losses.append(trainer.step(power, torch.from_numpy(batch.queries), energies, share))
        if trainer.step_count % options.check and trainer.step_count < options.steps:
            continue
        separate = partial(_separate, trainer.average, words)
        figures = development.score(separate)[0] if development else {}
        minutes = minutes_before + (time.monotonic() - started) / 60
        point = {"step": trainer.step_count, "minutes": round(minutes, 1)}
        point |= {"loss": round(float(torch.stack(losses).mean()), 4), **figures}
        trainer.curve.append(point)
        print(json.dumps(point), flush=True)
        losses.clear()
        if not math.isfinite(point["loss"]):
            raise SystemExit("the loss is no longer a number; lower --rate")
        trainer.save(options.output, facts)
        if trainer.step_count >= options.steps:
            return


def options_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--mixtures", type=Path, help="list of mixtures to score on")
    parser.add_argument("--output", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--resume", type=Path, help="folder of the run to go on from")
    parser.add_argument("--steps", type=int, default=4000, help="step to stop at")
    parser.add_argument("--cool-down", type=int, default=1000, help="last steps, rate to zero")
    parser.add_argument("--check", type=int, default=200, help="steps between scores")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encoder", default=ENCODER, help="text encoder of the queries")
    parser.add_argument("--config", default="{}", help="JSON of sizes that differ from default")
    return parser


if __name__ == "__main__":
    train(options_parser().parse_args())
