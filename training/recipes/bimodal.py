"""Bi-modal weak supervision: mixtures with captions are enough to learn to separate.

Mixtures of captioned mixtures are separated by their captions; the sounds that a caption names are
extracted, held against its phrases by a frozen joint model, and must add up to its mixture. Source:
Mahmud et al. (ICLR 2024, arXiv 2404.01740), with the losses of :mod:`~..bimodal_losses`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ...separators.bimodal import BIMODAL_FRONT, BiModal, BiModalConfig
from ...separators.bimodal_phrases import condition
from ...separators.bimodal_whole import separate_windows
from ...separators.spectrogram import as_pairs
from ...separators.unet import MATRICES
from ..bimodal_losses import (
    RECONSTRUCTION_WEIGHT,
    consistency,
    contrastive,
    reconstruction,
    total,
)
from ..captions import Captioned, Mixtures
from ..clips import load_clips
from ..development import Development, Samples
from ..joint import Joint, Laion, Sentences, Texts, open_joint
from ..mixture_list import Mixture
from ..phrases import ENCODER
from ..recipe import Batch, Heard, Recipe, begin_with
from ..remixing import at_random_levels, estimates, partners
from ..settings import FilePath, Run, Table
from ..trainer import write


class Sizes(Table):
    """The network.

    Attributes:
        base: channels of its first level; they double down to the fourth.
        levels, attending, maps: see :class:`~...separators.bimodal.BiModalConfig`.
        frames: of a clip, a multiple of ``2 ** levels``.
        gates: standard deviation of the matrix that makes gates, before training.
    """

    base: int = Field(default=64, ge=1, le=512)
    levels: int = Field(default=7, ge=4, le=9)
    attending: int = Field(default=3, ge=1)
    maps: int = Field(default=32, ge=1, le=512)
    frames: int = Field(default=512, ge=32, le=4096)
    gates: float = Field(default=MATRICES, gt=0, le=10)

    @model_validator(mode="after")
    def _halves(self) -> Sizes:
        if self.frames % 2**self.levels:
            raise ValueError(f"{self.frames} frames cannot be halved {self.levels} times")
        self.config(1, 1)
        return self

    def config(self, words: int, embedding: int) -> BiModalConfig:
        """The sizes as the network takes them, for texts of so many numbers."""
        front = replace(BIMODAL_FRONT, clip=self.frames * BIMODAL_FRONT.hop - 2)
        sizes = self.base, self.levels, self.attending, self.maps
        return BiModalConfig(*sizes, words, embedding, front)


class Weak(Run):
    """What the recipe is told.

    Attributes:
        losses: ``weak``, or ``reconstruction`` alone: mix-and-separate by captions, which is
            unsupervised where captions name several sounds, and supervised where they name one;
            or ``remixed``: what the network of ``start`` finds in captioned mixtures is remixed,
            and separated again, see :mod:`~..remixing`.
        clap: the joint model, see :func:`~..joint.open_joint`; what ``weak`` leans on. Of
            LAION-CLAP the separator is told the token states and embeddings of texts, too.
        vocabulary: folder with that of roberta-base, for LAION-CLAP; by default from the hub.
        encoder: of sentences, where texts are not told by LAION-CLAP.
        start: checkpoint whose weights the run begins with, of the same sizes.
    """

    rate: float = Field(default=1e-4, gt=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    network: Sizes = Sizes()
    mixing: Mixtures = Mixtures()
    losses: Literal["weak", "reconstruction", "remixed"] = "weak"
    clap: FilePath | None = None
    vocabulary: FilePath | None = None
    encoder: str = ENCODER
    start: FilePath | None = None

    @model_validator(mode="after")
    def _leans(self) -> Weak:
        if self.losses == "weak" and self.clap is None:
            raise ValueError(
                'losses "weak" need clap: a checkpoint of `soloist train clap-mini`, or LAION-CLAP'
            )
        if self.losses == "remixed" and self.start is None:
            raise ValueError('losses "remixed" need start: a checkpoint of `weak`')
        if self.losses == "remixed" and self.mixing.singles:
            raise ValueError(
                f'losses "remixed" take mixtures alone: found mixing.singles {self.mixing.singles}'
            )
        return self


class SomeSingle(Mixtures):
    """Mixtures, and a few single recordings among the examples."""

    singles: float = Field(default=0.05, ge=0, le=1)


class Semi(Weak):
    """The same, with single recordings among the examples."""

    mixing: SomeSingle = SomeSingle()


class BiModalWords(Recipe[Weak]):
    """Captions' masks against captioned mixtures, phrases' sounds against phrases."""

    network: BiModal
    examples: Captioned

    def __init__(self, settings: Weak) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        self.joint, self.texts = _open(settings)
        some = self.texts.phrase("a sound")
        config = settings.network.config(some.tokens.shape[1], len(some.embedding))
        self.front, mixing = config.front, settings.mixing
        clips = load_clips(settings.manifest, "train", self.front.sample_rate)
        self.examples = Captioned(clips, mixing, mixing.mixtures, self.front.clip, settings.seed)
        self.network = BiModal(config)
        nn.init.normal_(self.network.net_clap.fc.weight, 0.0, settings.network.gates)
        if settings.start is not None:
            begin_with(self.network, settings.start)
        self.teacher = (
            deepcopy(self.network).requires_grad_(False) if settings.losses == "remixed" else None
        )
        for level in self.network.net_sound.levels():
            if level.attends:
                level.attention.norm1.requires_grad_(False)  # stored, as published, and not used
        self.development: Development | None = None
        if settings.mixtures is not None:
            self.development = Development(settings.mixtures, settings.every)

    def forward(self, batch: Batch) -> Tensor:
        if self.teacher is not None:
            return self._remixed(batch, self.teacher.eval())  # a module's parts are set to train
        sounds = batch["sounds"]
        captions, phrases = self.examples.words(batch["phrases"])
        with torch.autocast(sounds.device.type, enabled=False):
            spectra = self.front.analyse(sounds.sum(2))
            whole = spectra.sum(1)
        if self.joint is None or self.settings.losses == "reconstruction":
            masks = self._masks(whole, captions)
            return RECONSTRUCTION_WEIGHT * reconstruction(masks, whole.abs(), spectra.abs())
        asked = [[*one, *other] for one, other in zip(captions, phrases, strict=True)]
        masks = self._masks(whole, asked)
        of_captions, of_phrases = masks.tensor_split([sounds.shape[1]], dim=1)
        of_phrases = of_phrases.unflatten(1, sounds.shape[1:3])
        singles = batch["single"]
        shares = torch.where(singles, 1 / sounds.shape[2], 1.0)[:, None, None]
        with torch.autocast(sounds.device.type, enabled=False):
            mixture, targets = whole.abs(), spectra.abs()
            return total(
                reconstruction(of_captions, mixture, targets),
                consistency(of_phrases, shares.expand(of_phrases.shape[:3]), mixture, targets),
                self._contrast(of_phrases * whole[:, None, None], phrases, ~singles),
            )

    def _remixed(self, batch: Batch, teacher: BiModal) -> Tensor:
        """The loss of captioned mixtures, as the teacher separated them and remixed."""
        count = batch["sounds"].shape[1]  # of captioned mixtures, which are this much too quiet
        numbers = batch["phrases"].flatten(0, 1)
        with torch.no_grad(), torch.autocast(numbers.device.type, enabled=False):
            mixtures = self.front.analyse(count * batch["sounds"].sum(2).flatten(0, 1))
            _, phrases = self.examples.words(numbers[:, None])
            found = estimates(self._masks(mixtures, phrases, teacher), mixtures)
            chosen = partners(numbers, batch["places"].flatten())
            each = torch.arange(chosen.shape[1], device=chosen.device)
            sounds = at_random_levels(found[chosen, each])
            whole = sounds.sum(1)
        _, phrases = self.examples.words(numbers.gather(0, chosen)[:, None])
        masks = self._masks(whole, phrases)
        return RECONSTRUCTION_WEIGHT * reconstruction(masks, whole.abs(), sounds.abs())

    def _masks(
        self, whole: Tensor, asked: Sequence[Sequence[str]], network: BiModal | None = None
    ) -> Tensor:
        """Masks ``(batch, queries, bins, frames)`` for the texts of each example."""
        network = network or self.network
        told = [self.texts.phrase(text) for texts in asked for text in texts]
        conditioning = condition(network, told).unflatten(0, (len(asked), -1))
        masks: Tensor = network(as_pairs(whole), conditioning)[..., 0]
        return masks.float()

    def _contrast(
        self, spectra: Tensor, phrases: Sequence[Sequence[str]], several: Tensor
    ) -> Tensor:
        """The contrastive loss of extracted sounds, where captions named several."""
        if not several.any():
            return spectra.new_zeros((), dtype=torch.float32)
        assert self.joint is not None
        audio = self.front.synthesise(spectra[several], self.front.clip)
        heard = self.joint.sounds(audio.flatten(0, 2)).unflatten(0, audio.shape[:3])
        asked = [text for n in several.nonzero()[:, 0].tolist() for text in phrases[n]]
        named = self.joint.texts(asked).to(heard).unflatten(0, audio.shape[:3])
        return contrastive(heard, named, self.joint.log_scale().to(heard))

    def optimisers(self) -> list[Optimizer]:
        told = self.settings
        return [Adam(self.parameters(), lr=told.rate, weight_decay=told.weight_decay)]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        if self.development is None:
            return {}, ()
        assert isinstance(network, BiModal)
        device = network.net_synthesizer.bias.device

        def separate(audio: Samples, mixture: Mixture) -> Samples:
            asked = condition(network, [self.texts.phrase(mixture.query)])
            separated = separate_windows(network, torch.from_numpy(audio).to(device), asked)
            found: Samples = separated[0].cpu().numpy()
            return found

        return self.development.score(separate, self.front.sample_rate)

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        write(folder / "checkpoint.pt", network.state_dict())
        (folder / "train-args.json").write_text(json.dumps(facts, indent=2) + "\n")


def _open(settings: Weak) -> tuple[Joint | None, Texts]:
    """The joint model, and how texts are told."""
    if settings.clap is None:
        return None, Sentences(settings.encoder)
    joint = open_joint(settings.clap, settings.vocabulary)
    return joint, joint if isinstance(joint, Laion) else Sentences(settings.encoder)
