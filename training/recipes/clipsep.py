"""Mix-and-separate for the CLIPSep family: CLIPSep, CLIPSep-NIT, BERTSep, LabelSep, PIT.

CLIPSep-Text, CLIPSep-Hybrid and CLIPSep are the same recipe with another ``queries.mode``. Source:
Dong et al., "CLIPSep" (ICLR 2023), with the losses of :mod:`~..clipsep_losses`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ...separators.bertsep import BERT_MINI_SIZE, BERTSep
from ...separators.clipsep import CLIP_SIZE, CLIPSep, CLIPSepNIT
from ...separators.labelsep import LabelSep
from ...separators.late_fusion import LateFusion, QueriedLateFusion, read_out
from ...separators.log_picture import CLIPSEP_FRONT, FLOOR, Geometry
from ...separators.pit import PIT
from ...separators.spectrogram import as_pairs, magnitude
from ...separators.unet import BASE, MATRICES, initialise
from ..clips import load_clips
from ..clipsep_losses import clipsep_loss, nit_loss, pit_loss
from ..development import Development
from ..mixture_list import Mixture
from ..pairs import Mixing, Pairs, Queries, QueryTable
from ..recipe import Batch, Heard, Recipe, begin_with
from ..settings import FilePath, Run, Table
from ..trainer import write

Samples = NDArray[np.float32]


class Sizes(Table):
    """The network.

    Attributes:
        maps: feature maps.
        levels: of its U-Net.
        base: channels of the outermost level, which double from level to level, up to eightfold.
        frames: of a clip, a multiple of ``2 ** levels``.
        gates: standard deviation of the matrices that make gates, before training. With the
            published one all queries begin with the same mask, and stay there for long.
    """

    maps: int = Field(default=32, ge=1, le=512)
    levels: int = Field(default=7, ge=5, le=8)
    base: int = Field(default=BASE, ge=1, le=512)
    frames: int = Field(default=256, ge=32, le=4096)
    gates: float = Field(default=MATRICES, gt=0, le=10)

    @model_validator(mode="after")
    def _halves(self) -> Sizes:
        if self.frames % 2**self.levels:
            raise ValueError(f"{self.frames} frames cannot be halved {self.levels} times")
        return self

    @property
    def geometry(self) -> Geometry:
        """The sizes as the networks take them."""
        front = replace(CLIPSEP_FRONT, clip=self.frames * CLIPSEP_FRONT.hop - 1)
        return Geometry(front, maps=self.maps, levels=self.levels, base=self.base)


class Family(Run):
    """What the recipes of the family are told.

    Attributes:
        start: checkpoint whose weights the run begins with, of the same sizes: one of the same
            recipe, or for CLIPSep-NIT one of CLIPSep, to which new noise heads are added.
    """

    start: FilePath | None = None
    network: Sizes = Sizes()
    queries: Queries = Queries()
    mixing: Mixing = Mixing()


class MixAndSeparate(Recipe[Family]):
    """CLIPSep: each query's mask against its own source."""

    network: LateFusion
    embedding = CLIP_SIZE
    begun_anew: tuple[str, ...] = ()  # beginnings of names of weights that ``start`` need not have

    def __init__(self, settings: Family) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        geometry = settings.network.geometry
        self.front = geometry.front
        clips = load_clips(settings.manifest, "train", self.front.sample_rate)
        self.labels = sorted({clip.label for clip in clips} - set(settings.mixing.noise))
        self.network = self._network(geometry)
        initialise(self.network, settings.network.gates)
        if settings.start is not None:
            begin_with(self.network, settings.start, self.begun_anew)
        self.table = QueryTable(clips, settings.queries, self.embedding)
        self.examples = Pairs(
            clips, self.table, settings.mixing, self.front.clip, settings.batch, settings.seed
        )
        self.development: Development | None = None
        if settings.mixtures is not None:
            self.development = Development(settings.mixtures, settings.every)
            self.table.learn(mixture.query for mixture in self.development.mixtures)

    def _network(self, geometry: Geometry) -> LateFusion:
        return CLIPSep(geometry)

    def forward(self, batch: Batch) -> Tensor:
        network = self.network
        with torch.autocast(batch["sources"].device.type, enabled=False):
            sources = self._rows(batch["sources"])
            mixture = self._rows(batch["sources"].sum(1)) + FLOOR
            picture = torch.log(mixture)[:, None]
        maps = network.sound_net(picture).float()
        with torch.autocast(maps.device.type, enabled=False):
            return self.loss(maps, batch, sources, mixture)

    def loss(self, maps: Tensor, batch: Batch, sources: Tensor, mixture: Tensor) -> Tensor:
        """The loss of feature maps ``(batch, maps, rows, frames)``, a scalar."""
        assert isinstance(self.network, QueriedLateFusion)
        logits = read_out(maps, self.network.condition(batch["queries"]))
        return clipsep_loss(logits, sources, mixture)

    def optimisers(self) -> list[Optimizer]:
        return [Adam(self.parameters(), lr=self.settings.rate)]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        if self.development is None:
            return {}, ()
        assert isinstance(network, LateFusion)

        def separate(audio: Samples, mixture: Mixture) -> Samples:
            return self._separate(network, audio, self.conditioning(network, mixture))

        return self.development.score(separate, self.front.sample_rate)

    def conditioning(self, network: LateFusion, mixture: Mixture) -> Tensor:
        """What asks a network for a listed mixture's target, ``(queries, maps + 1)``."""
        assert isinstance(network, QueriedLateFusion)
        embedding = torch.from_numpy(self.table.text(mixture.query))[None]
        return network.condition(embedding.to(network.synth_net.scale.device))

    def _separate(self, network: LateFusion, audio: Samples, conditioning: Tensor) -> Samples:
        """Each query's sound, ``(queries, samples)``, by windows of the training's length."""
        clip = self.front.clip
        windows = np.pad(audio, (0, -len(audio) % clip)).reshape(-1, clip)
        spectra = self.front.analyse(torch.from_numpy(windows).to(conditioning.device))
        masks = network(as_pairs(spectra), conditioning)[..., 0].transpose(0, 1)
        stems = self.front.synthesise(masks * spectra, clip).flatten(1)
        separated: Samples = stems.cpu().numpy()[:, : len(audio)]
        return separated

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        write(folder / "checkpoint.pt", network.state_dict())
        geometry, settings = self.network.geometry, self.settings
        told = {
            "channels": geometry.maps,
            "layers": geometry.levels,
            "fusion": "late",
            "log_freq": True,
            "binary_mask": True,
            "train_mode": settings.queries.mode,
            "audio_rate": self.front.sample_rate,
            "n_fft": self.front.n_fft,
            "win_len": self.front.n_fft,
            "hop_len": self.front.hop,
            "audio_len": self.front.clip,
            **facts,
        }
        (folder / "train-args.json").write_text(json.dumps(told, indent=2) + "\n")

    def _rows(self, audio: Tensor) -> Tensor:
        """Magnitudes over the log-frequency rows, ``(..., samples)`` to ``(..., rows, frames)``."""
        picture = self.network.picture
        rows: Tensor = picture.to_rows(magnitude(as_pairs(self.front.analyse(audio))))
        return rows


class NoiseInvariant(MixAndSeparate):
    """CLIPSep-NIT: what no query explains may go to noise heads, in the order that fits better."""

    begun_anew = ("pit_nets.",)

    def _network(self, geometry: Geometry) -> LateFusion:
        return CLIPSepNIT(geometry)

    def loss(self, maps: Tensor, batch: Batch, sources: Tensor, mixture: Tensor) -> Tensor:
        network = self.network
        assert isinstance(network, CLIPSepNIT)
        logits = read_out(maps, network.condition(batch["queries"]))
        noise = read_out(maps, network.condition_noise(batch["queries"]))
        return nit_loss(logits, noise, sources, mixture)


class Words(MixAndSeparate):
    """BERTSep: queries are texts by BERT-mini, ``queries.encoder = "bert-mini"``."""

    embedding = BERT_MINI_SIZE

    def _network(self, geometry: Geometry) -> LateFusion:
        return BERTSep(geometry)


class Labels(MixAndSeparate):
    """LabelSep: queries are the numbers of classes, whose embeddings are learnt, too."""

    def _network(self, geometry: Geometry) -> LateFusion:
        return LabelSep(geometry, len(self.labels))

    def loss(self, maps: Tensor, batch: Batch, sources: Tensor, mixture: Tensor) -> Tensor:
        assert isinstance(self.network, LabelSep)
        embedded = self.network.label_net(batch["labels"])
        return clipsep_loss(read_out(maps, self.network.condition(embedded)), sources, mixture)

    def conditioning(self, network: LateFusion, mixture: Mixture) -> Tensor:
        assert isinstance(network, LabelSep)
        number = torch.tensor([self.labels.index(mixture.target_class)])
        return network.condition(network.label_net(number.to(network.label_net.weight.device)))

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        super().write(folder, network, facts)
        numbers = {label: number for number, label in enumerate(self.labels)}
        (folder / "label_map.json").write_text(json.dumps(numbers, indent=2) + "\n")


class Permutation(MixAndSeparate):
    """PIT: two sources that nobody asked for; the better one of each mixture is scored."""

    def _network(self, geometry: Geometry) -> LateFusion:
        return PIT(geometry)

    def loss(self, maps: Tensor, batch: Batch, sources: Tensor, mixture: Tensor) -> Tensor:
        assert isinstance(self.network, PIT)
        return pit_loss(read_out(maps, self.network.sources), sources, mixture)

    def conditioning(self, network: LateFusion, mixture: Mixture) -> Tensor:
        assert isinstance(network, PIT)
        return network.sources
