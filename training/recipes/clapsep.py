"""CLAPSep: LAION-CLAP's encoder adapted, a decoder from scratch, asked for what is wanted and not.

Ma et al. 2024, "CLAPSep", arXiv 2402.17455, with what its published code does, but for the dropout
in its decoder. CLAP is frozen, but for low-rank changes of its encoder's attention, see
:mod:`~..lora`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_serializer
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ...separators.checkpoint_files import fill
from ...separators.clapsep import CLAPSep, Sizes, query
from ...separators.clapsep_checkpoint import encoder_of, encoder_sizes
from ...separators.clapsep_whole import separate_clips
from ...separators.columns import Span
from ...separators.spectrogram import as_pairs, magnitude
from ..adaptable import Adaptable, open_adaptable
from ..clapsep_examples import Examples, Queries
from ..clapsep_losses import clapsep_loss
from ..clips import classes_of_files, load_clips, plain_name
from ..development import Development
from ..lora import adapt
from ..mixture_list import Mixture
from ..recipe import Batch, Heard, Recipe
from ..settings import FilePath, Run, Table
from ..trainer import write

Samples = NDArray[np.float32]


class Decoder(Table):
    """What is learnt: a transformer over frames, its width a multiple of 8; the encoder's changes.

    All other sizes follow from CLAP's.
    """

    width: int = Field(default=640, ge=8, le=4096, multiple_of=8)
    layers: int = Field(default=3, ge=1, le=64)
    rank: int = Field(default=16, ge=1, le=1024)


class Settings(Run):
    """What the recipe is told.

    Attributes:
        clap: LAION's file, or a checkpoint of ``clap-htsat``.
        vocabulary: folder with that of roberta-base, for LAION's CLAP; none: from the hub.
    """

    clap: FilePath
    vocabulary: str | None = None
    network: Decoder = Decoder()
    queries: Queries = Queries()
    rate: float = Field(default=1e-4, gt=0, lt=1)
    clip: float = Field(default=5.0, gt=0)

    @field_serializer("clap")
    def _name(self, path: Path) -> str:
        return path.name  # a checkpoint says no more of the machine that made it


class Adaptation(Recipe[Settings]):
    """The network, asked for both sounds of each mixture."""

    network: CLAPSep

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        clap = open_adaptable(settings.clap, settings.vocabulary)
        self.network = _network(clap, settings.network)
        self.front = self.network.front
        clips = load_clips(settings.manifest, "train", self.front.sample_rate)
        rate, samples = self.front.sample_rate, self.front.clip
        self.examples = Examples(clips, clap, rate, samples, settings.queries, settings.seed)
        self.embeddings = self.examples.embeddings
        self.development: Development | None = None
        if settings.mixtures is not None:
            self.development = Development(settings.mixtures, settings.every)
            self.classes = classes_of_files(settings.manifest)
            mixtures = self.development.mixtures
            self.embeddings.learn(mixture.query for mixture in mixtures)
            self.embeddings.learn(name for one in mixtures for name in self._unwanted(one))

    def train(self, mode: bool = True) -> Adaptation:
        """As of any module; the encoder's norm keeps CLAP's averages."""
        super().train(mode)
        self.network.audio_branch.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        network, sources = self.network, batch["sources"]
        with torch.autocast(sources.device.type, enabled=False):
            spectrum = self.front.analyse(sources.sum(1))
            pairs = as_pairs(spectrum)
            mel, loudness = network.mel(pairs), magnitude(pairs)
        heard = network.audio_branch(mel)
        conditioning = network.condition(batch["queries"])
        whole = Span.whole(loudness.shape[-1])
        masks = network.decoder_model(loudness, heard, conditioning, whole).float()
        with torch.autocast(sources.device.type, enabled=False):
            stems = self.front.synthesise(masks * spectrum[:, None], sources.shape[-1])
            return clapsep_loss(stems, sources)

    def optimisers(self) -> list[Optimizer]:
        learning = [weights for weights in self.parameters() if weights.requires_grad]
        return [AdamW(learning, lr=self.settings.rate)]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        """Figures of queries with both halves; as ``positive_...``, ``negative_...`` with one.

        What is not wanted are the names of what a mixture holds beside its target.
        """
        if self.development is None:
            return {}, ()
        assert isinstance(network, CLAPSep)
        figures, heard = self._scored(network, wanted=True, unwanted=True)
        for name in ("positive", "negative"):
            found, _ = self._scored(network, wanted=name == "positive", unwanted=name == "negative")
            figures |= {f"{name}_{key}": figure for key, figure in found.items()}
        return figures, heard

    def _scored(
        self, network: CLAPSep, *, wanted: bool, unwanted: bool
    ) -> tuple[dict[str, float], list[Heard]]:
        assert self.development is not None

        def separate(audio: Samples, mixture: Mixture) -> Samples:
            positive = self.embeddings.text(mixture.query)
            negative = np.mean([self.embeddings.text(w) for w in self._unwanted(mixture)], axis=0)
            halves = [
                torch.from_numpy(half) if given else None
                for half, given in ((positive, wanted), (negative, unwanted))
            ]
            device = network.mel.bands.device
            conditioning = network.condition(query(*halves)[None].to(device))
            stems = separate_clips(network, torch.from_numpy(audio).to(device), conditioning)
            separated: Samples = stems.cpu().numpy()
            return separated

        return self.development.score(separate, self.front.sample_rate)

    def _unwanted(self, mixture: Mixture) -> list[str]:
        """Names of what a mixture holds beside its target.

        Raises:
            ValueError: the manifest does not say what one of them is.
        """
        files = [excerpt.file for excerpt in mixture.interferers]
        unknown = [file for file in files if file not in self.classes]
        if unknown:
            raise ValueError(f"{self.settings.manifest} does not name the class of {unknown[0]}")
        return [plain_name(self.classes[file]) for file in files]

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        """As the published code's own checkpoints: low-rank changes beside what they change."""
        write(folder / "checkpoint.pt", network.state_dict())
        (folder / "train-args.json").write_text(json.dumps(dict(facts), indent=2) + "\n")


def _network(clap: Adaptable, decoder: Decoder) -> CLAPSep:
    """A network around CLAP's encoder, which learns but a little."""
    state = encoder_of(clap.state)
    network = CLAPSep(sizes=Sizes(encoder_sizes(state), decoder.width, decoder.layers))
    fill(network.audio_branch, {key.partition(".")[2]: value for key, value in state.items()})
    adapt(network.audio_branch, decoder.rank)
    return network
