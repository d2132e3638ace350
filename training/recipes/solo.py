"""Mix-and-separate for ``solo``, asked in words; and the same, invariant to noise.

Every mixture is asked for each of its sounds and for one it does not hold. The trunk hears the
mixture once for all of them, so a query costs one small matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from ...separators.checkpoints import load_solo
from ...separators.solo import Solo, SoloConfig
from ..clips import load_clips, vocabulary
from ..development import Development
from ..losses import BandEnergies, log_error, loudness, mask_error
from ..mixture_list import Mixture
from ..mixtures import Mixtures, Scenes
from ..muon import Muon
from ..phrases import ENCODER, embed
from ..recipe import Batch, Heard, Recipe
from ..settings import FilePath, Run, Table
from ..trainer import write

Samples = NDArray[np.float32]

# Of noise heads: the share of what is loud that they may cover, what more of it costs, and what a
# sound that is not there counts beside two that are. A share of the whole picture, as CLIPSep-NIT
# has it, would be room for all that sounds: at 48 kHz most of it is nearly silent.
_IDLE_SHARE, _IDLE_WEIGHT, _SILENCE = 0.25, 1.0, 0.15


class Sizes(Table):
    """The network, see :class:`~...separators.solo.SoloConfig`."""

    patch_width: int = Field(default=64, ge=1, le=4096)
    width: int = Field(default=320, ge=1, le=4096)
    memory: int = Field(default=320, ge=1, le=4096)
    blocks: int = Field(default=3, ge=1, le=32)
    maps: int = Field(default=128, ge=1, le=4096)


class SoloRun(Run):
    """What the recipe is told.

    Attributes:
        also: further manifests, such as those of rendered sounds; their paths are relative to
            their own folders.
        start: checkpoint whose weights the run begins with, of the same sizes.
        seconds: length of a mixture.
        encoder: text encoder of the queries.
        dropout: share of the features that are left out before each product over all of them and
            before the words', the same ones for a whole mixture.
    """

    also: tuple[FilePath, ...] = ()
    start: FilePath | None = None
    seconds: float = Field(default=3.0, gt=0, le=60)
    encoder: str = ENCODER
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rate: float = Field(default=2e-3, gt=0, lt=1)
    network: Sizes = Sizes()
    scenes: Scenes = Scenes()


class Supervised(Recipe[SoloRun]):
    """``solo``: each query's mask against its own source."""

    network: Solo

    def __init__(self, settings: SoloRun) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        encoded = embed(["a sound"], settings.encoder)["a sound"]
        config = SoloConfig(embedding=len(encoded), **settings.network.model_dump())
        self.network = Solo(config)
        if settings.start is not None:
            self._begin_with(settings.start)
        manifests = (settings.manifest, *settings.also)
        clips = [clip for path in manifests for clip in load_clips(path, "train", 48_000)]
        self.clips, self.vocabulary = len(clips), vocabulary(clips)
        embeddings = embed({p for clip in clips for p in clip.phrases}, settings.encoder)
        front = config.frontend
        self.examples = Mixtures(
            clips,
            embeddings,
            settings.scenes,
            round(settings.seconds * front.sample_rate),
            front.sample_rate,
            front.bins,
            settings.seed,
        )
        self.development: Development | None = None
        self.words: Mapping[str, Samples] = {}
        if settings.mixtures is not None:
            self.development = Development(settings.mixtures, settings.every)
            asked = {mixture.query for mixture in self.development.mixtures}
            self.words = embed(asked, settings.encoder)
        self._leave_out()

    def _begin_with(self, path: Path) -> None:
        found = load_solo(path).network
        if found.config != self.network.config:
            raise ValueError(f"start: {path} is of other sizes than [network] says")
        self.network.load_state_dict(found.state_dict())

    def _leave_out(self) -> None:
        """Dropout by hooks: what plays knows nothing of it."""
        if not self.settings.dropout:
            return
        drop = partial(_drop, share=self.settings.dropout)
        network = self.network
        for product in (network.mix_in, network.mix_out):
            product.register_forward_pre_hook(drop)
        for block in network.recurrences:
            block.get_submodule("out").register_forward_pre_hook(drop)

    def forward(self, batch: Batch) -> Tensor:
        network, training = self.network, self.network.training
        with torch.autocast(batch["sources"].device.type, enabled=False):
            power, energies = band_energies(network, batch)
        state = network.initial_state(len(power)).to(power)
        maps, _ = network.trunk(power, state)
        if training and self.settings.dropout:
            maps = maps * _kept(maps[:, :1, :1], self.settings.dropout)
        return self.loss(maps, batch["queries"], energies)

    def loss(self, maps: Tensor, queries: Tensor, energies: BandEnergies) -> Tensor:
        """The loss of feature maps ``(batch, frames, patches, maps)``, a scalar."""
        logits = self.network.logits(maps, self.network.condition(queries)).float()
        alone, together = torch.sigmoid(logits), Solo.masks(logits)
        total = _error(alone, energies) + 0.04 * log_error(together, energies, floor=1e-2)
        weight = _weight(energies)
        return (total * weight).sum() / weight.sum()

    def optimisers(self) -> list[Optimizer]:
        # Muon (Jordan et al. 2024) for the dense products in the middle, AdamW for the rest
        dense: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            edge = name.startswith(("network.readout", "network.patch_place", "noise"))
            (rest if edge or parameter.ndim != 2 else dense).append(parameter)
        rate = self.settings.rate
        return [
            Muon(dense, rate, weight_decay=0.01),
            torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        if self.development is None:
            return {}, ()
        assert isinstance(network, Solo)
        return self.development.score(partial(_separate, network, self.words))

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        known = {
            "clips": self.clips,
            "encoder": self.settings.encoder,
            "vocabulary": self.vocabulary,
        }
        checkpoint = {
            "config": self.network.config.to_dict(),
            "weights": network.state_dict(),
            "facts": {**known, **{key: fact for key, fact in facts.items() if key != "curve"}},
            "curve": list(facts["curve"]),
        }
        write(folder / "checkpoint.pt", checkpoint)


class NoiseInvariant(Supervised):
    """``solo-nit``: what no query explains may go to noise heads, in the order that fits better.

    CLIPSep-NIT (Dong et al., ICLR 2023) with the losses of ``solo``: two sounds a mixture, two
    noise heads that read the same maps, a pair's masks added and held to 1. What the heads cover
    beyond a quarter of what is loud costs.
    """

    def __init__(self, settings: SoloRun) -> None:
        super().__init__(settings)
        if settings.scenes.sounds != 2:
            raise ValueError("scenes.sounds: noise heads pair with 2 sounds, found 3")
        self.noise = nn.Parameter(0.02 * torch.randn(2, self.network.conditioning_size))
        with torch.no_grad():  # silent at first
            self.noise.unflatten(-1, (-1, self.network.config.patch))[:, -1] -= 2.0

    def loss(self, maps: Tensor, queries: Tensor, energies: BandEnergies) -> Tensor:
        network = self.network
        logits = network.logits(maps, network.condition(queries)).float()
        return noise_invariant_loss(logits, network.logits(maps, self.noise).float(), energies)


def noise_invariant_loss(logits: Tensor, noise: Tensor, energies: BandEnergies) -> Tensor:
    """What two queries' masks miss of their sounds, two noise masks may add.

    Args:
        logits: ``(batch, 3, frames, bands)``, of two sounds and of one that is not there.
        noise: ``(batch, 2, frames, bands)``, of the noise heads.
        energies: of the three queries.

    Returns:
        A scalar.
    """
    masks, heads = torch.sigmoid(logits), torch.sigmoid(noise)
    sounds, absent = _part(energies, slice(0, 2)), _part(energies, slice(2, None))
    orders = []
    for order in (heads, heads.flip(1)):
        pairs = 1 - functional.relu(1 - masks[:, :2] - order)
        # where both are sure the sum teaches nothing more, and its logarithm has no end
        orders.append(_error(pairs.clamp(1e-4, 1 - 1e-4), sounds).mean(1))
    silence = _error(masks[:, 2:], absent).mean(1)
    covered = (heads.sum(1) * loudness(energies)[:, 0]).sum((-2, -1)).mean()
    idle = functional.relu(covered - _IDLE_SHARE)
    return (torch.minimum(*orders) + _SILENCE * silence).mean() + _IDLE_WEIGHT * idle


def _error(masks: Tensor, energies: BandEnergies) -> Tensor:
    """Error of every mask by itself, ``(batch, queries)``.

    The weights put the decibels of the error and the cross-entropy of the mask on one scale, where
    a useful step moves either by some tenths: the first is the figure that counts, the second
    teaches from the first step on and in quiet places, too.
    """
    return 0.15 * log_error(masks, energies, floor=1e-2) + 2 * mask_error(masks, energies)


def _weight(energies: BandEnergies) -> Tensor:
    """What each query counts: less where its sound is absent, nothing where nobody asked."""
    absent = energies.source == 0
    padding = absent.clone()
    padding[:, -1] = False  # the last query is the absent sound that was asked for
    return torch.where(absent, 0.3, 1.0) * ~padding


def _part(energies: BandEnergies, queries: slice) -> BandEnergies:
    return BandEnergies(energies.mixture, energies.cross[:, queries], energies.source[:, queries])


@torch.no_grad()
def band_energies(network: Solo, batch: Batch) -> tuple[Tensor, BandEnergies]:
    """Transforms a batch of :class:`~..mixtures.Mixtures` and reduces it to bands.

    Returns:
        The mixture's mean band powers, ``(batch, frames, bands)``, which the network hears, and
        the energies that the losses need.
    """
    present = batch["present"]
    sources = batch["sources"][present]
    spectra = network.config.frontend.analyse(sources)
    spectra *= batch["equalisers"][present][:, None]
    owner = present.nonzero()[:, 0]
    mixture = spectra.new_zeros(len(present), *spectra.shape[1:])
    mixture.index_add_(0, owner, spectra)
    if batch["background"].any():
        mixture += network.config.frontend.analyse(batch["background"])
    spread = (network.band_mean > 0).float()
    mixture_power = torch.view_as_real(mixture).square().sum(-1)
    cross = torch.view_as_real(mixture[owner]).mul_(torch.view_as_real(spectra)).sum(-1) @ spread
    everything = cross.new_zeros(*present.shape, *cross.shape[1:])
    everything[present] = cross
    everything = functional.pad(everything, (0, 0, 0, 0, 0, 1))  # the absent query
    source = cross.new_zeros(everything.shape[:2])
    source[:, :-1][present] = torch.view_as_real(spectra).square().sum((1, 2, 3))
    energies = BandEnergies((mixture_power @ spread)[:, None], everything, source)
    return mixture_power @ network.band_mean, energies


def _drop(product: nn.Module, inputs: tuple[Tensor, ...], share: float) -> tuple[Tensor] | None:
    if not product.training:
        return None
    (x,) = inputs
    return (x * _kept(x[:, :1], share),)


def _kept(like: Tensor, share: float) -> Tensor:
    """Zeros for a share of the features, what makes up for them for the others."""
    return torch.empty_like(like).bernoulli_(1 - share) / (1 - share)


def _separate(
    network: Solo, words: Mapping[str, Samples], audio: Samples, mixture: Mixture
) -> Samples:
    """What the network makes of a listed mixture, as late as nothing."""
    front, device = network.config.frontend, network.readout.device
    padded = torch.from_numpy(np.pad(audio, (0, 2 * front.hop))).to(device)
    spectrum = torch.view_as_real(front.analyse(padded))[None]
    asked = network.condition(torch.from_numpy(words[mixture.query])[None].to(device))
    stems, _ = network(spectrum, asked, network.initial_state(1).to(device))
    separated: Samples = front.synthesise(torch.view_as_complex(stems[0, 0])).cpu().numpy()
    return separated[: len(audio)]
