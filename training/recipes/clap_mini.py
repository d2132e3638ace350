"""``clap-mini``, ``clap-htsat``: small joint models of sounds and words, by contrast in a batch.

What weak supervision leans on, and what CLAPSep adapts, where LAION-CLAP's weights cannot be had.
Sentence embeddings stay as they are; all else learns. The loss is that of CLIP and CLAP, in both
directions, or between classes by their shares of the energy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from ...separators import clap_htsat, clap_mini, htsat
from ...separators.clap_htsat import ClapHtsat
from ...separators.clap_mini import ClapMini, ClapMiniSizes, SentenceClap
from ..bimodal_losses import by_share, contrastive
from ..captions import Captioned, Captions
from ..clips import beginning, load_clips, plain_name
from ..joint import Sentences
from ..masking import Dislike, behind_masks
from ..phrases import ENCODER
from ..recipe import Batch, Heard, Recipe
from ..settings import Run, Table
from ..trainer import write

_SILENCE = 1e-9
"""Energy of a sound that is none: where all are silent, each phrase counts as much."""


class HalfSingle(Captions):
    """Captioned mixtures, and single recordings in half of the examples."""

    singles: float = Field(default=0.5, ge=0, le=1)


class Contrast(Run):
    """What both recipes are told; they are scored on the manifest's dev clips, not on mixtures.

    Attributes:
        targets: ``captions``, a sound against the captions of the batch; or ``shares``, a sound
            against all phrases of the batch, each as much as its sound has of the energy.
        masked: share of the steps whose sounds are heard through random masks, as a separator
            makes them.
        led: those masks are moved by the model's own gradient before it learns behind them, so
            that a separator that leans on it can please it less by masks that separate nothing.
    """

    mixing: HalfSingle = HalfSingle()
    targets: Literal["captions", "shares"] = "captions"
    masked: float = Field(default=0.0, ge=0, le=1)
    led: bool = False
    encoder: str = ENCODER
    weight_decay: float = Field(default=1e-4, ge=0)

    @model_validator(mode="after")
    def _led_ones(self) -> Contrast:
        if self.led and not self.masked:
            raise ValueError("led is of masks: give masked, the share of steps, as well")
        return self


class MiniSizes(Table):
    """The network of ``clap-mini``.

    Attributes:
        width: channels of its first level, which double from level to level.
        levels: each halves 64 bands and the frames of 16 ms.
        embedding: of the joint space.
        seconds: of an example.
    """

    width: int = Field(default=32, ge=1, le=512)
    levels: int = Field(default=4, ge=1, le=5)
    embedding: int = Field(default=128, ge=2, le=4096)
    seconds: float = Field(default=4.0, gt=0, le=30)

    @model_validator(mode="after")
    def _halves(self) -> MiniSizes:
        frames = 1 + round(self.seconds * clap_mini.RATE) // clap_mini.HOP
        if frames < 2**self.levels:
            raise ValueError(f"{self.seconds} s are {frames} frames, too few for the levels")
        return self


class Mini(Contrast):
    """What ``clap-mini`` is told."""

    network: MiniSizes = MiniSizes()


class HtsatSizes(Table):
    """The network of ``clap-htsat``.

    Attributes:
        width: of the tokens of its first stage, a multiple of 32; they double from stage to stage.
        depths: blocks of each stage. It hears 2.5 s in three stages, 10 s in four.
    """

    width: int = Field(default=32, ge=32, le=512, multiple_of=32)
    depths: tuple[PositiveInt, ...] = Field(default=(2, 2, 2), min_length=2, max_length=4)


class Htsat(Contrast):
    """What ``clap-htsat`` is told."""

    network: HtsatSizes = HtsatSizes()


Told = TypeVar("Told", bound=Contrast)


class ContrastiveWords(Recipe[Told]):
    """Sounds beside their captions, the other captions of the batch away from them."""

    network: SentenceClap
    examples: Captioned

    def __init__(self, settings: Told) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        self.sentences = Sentences(settings.encoder)
        words = len(self.sentences.phrase("a sound").embedding)
        self.network, samples = self.make(words)
        rate = self.network.rate
        clips = load_clips(settings.manifest, "train", rate)
        self.labels = sorted({clip.label for clip in clips})
        self.tests = load_clips(settings.manifest, "dev", rate)
        self.examples = Captioned(clips, settings.mixing, 1, samples, settings.seed)
        names = [plain_name(label) for label in self.labels]
        self.names = torch.stack([self.sentences.phrase(name).embedding for name in names])

    @abstractmethod
    def make(self, words: int) -> tuple[SentenceClap, int]:
        """A network for sentence embeddings of that length, and how many samples it learns from."""

    @abstractmethod
    def content(self, network: nn.Module) -> dict[str, Any]:
        """A checkpoint."""

    def forward(self, batch: Batch) -> Tensor:
        sounds = batch["sounds"][:, 0]
        captions, phrases = self.examples.words(batch["phrases"])
        if self.settings.masked and float(torch.rand(())) < self.settings.masked:
            sounds = behind_masks(sounds, self._dislike(phrases) if self.settings.led else None)
        heard = self.network.sounds(sounds.sum(1))
        if self.settings.targets == "shares":
            return self._by_share(heard, sounds, phrases)
        named = self._named([text for (text,) in captions])
        with torch.autocast(heard.device.type, enabled=False):
            one, other = (part.float()[:, None, None] for part in (heard, named))
            scale = self.network.bounded_log_scale
            return (contrastive(one, other, scale) + contrastive(other, one, scale)) / 2

    def _by_share(self, heard: Tensor, sounds: Tensor, phrases: Sequence[Sequence[str]]) -> Tensor:
        texts = sorted({text for each in phrases for text in each})
        numbers = torch.tensor([[texts.index(text) for text in each] for each in phrases])
        energy = sounds.float().square().mean(-1) + _SILENCE
        shares = energy.new_zeros(len(sounds), len(texts))
        shares.scatter_add_(1, numbers.to(energy.device), energy)
        shares /= shares.sum(1, keepdim=True)
        named = self._named(texts)
        with torch.autocast(heard.device.type, enabled=False):
            scale = self.network.bounded_log_scale
            return by_share(heard.float(), named.float(), shares, scale)

    def _dislike(self, phrases: Sequence[Sequence[str]]) -> Dislike:
        """How little masked mixtures are like one phrase of each, drawn at random."""
        texts = sorted({text for each in phrases for text in each})
        wanted = [each[int(torch.randint(len(each), ()))] for each in phrases]
        own = torch.tensor([texts.index(text) for text in wanted])
        shares = functional.one_hot(own, len(texts)).float()

        def dislike(masked: Tensor) -> Tensor:
            self.network.eval()
            heard, named = self.network.sounds(masked), self._named(texts).detach()
            self.network.train()
            with torch.autocast(heard.device.type, enabled=False):
                scale = self.network.bounded_log_scale
                return by_share(heard.float(), named.float(), shares.to(heard.device), scale)

        return dislike

    def _named(self, texts: Sequence[str]) -> Tensor:
        words = torch.stack([self.sentences.phrase(text).embedding for text in texts])
        return self.network.texts(words.to(self.network.log_scale.device))

    def optimisers(self) -> list[Optimizer]:
        told = self.settings
        return [Adam(self.parameters(), lr=told.rate, weight_decay=told.weight_decay)]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        """How often the nearest class name, or one of the nearest five, is a dev clip's own."""
        assert isinstance(network, SentenceClap)
        device, rate = network.log_scale.device, network.rate
        names = network.texts(self.names.to(device))
        ranks = []
        for clip in self.tests:
            if clip.label not in self.labels:
                continue
            audio = torch.from_numpy(beginning(clip, rate))[None]
            sound = network.sounds(audio.to(device))
            near = (sound @ names.T)[0]
            ranks.append(int((near > near[self.labels.index(clip.label)]).sum()))
        if not ranks:
            return {}, ()
        top = {f"top_{n}": round(float(np.mean(np.less(ranks, n))), 3) for n in (1, 5)}
        return top, ()

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        write(folder / "checkpoint.pt", self.content(network) | {"facts": dict(facts)})


class ContrastiveMini(ContrastiveWords[Mini]):
    """``clap-mini``."""

    def make(self, words: int) -> tuple[SentenceClap, int]:
        told = self.settings.network
        network = ClapMini(ClapMiniSizes(told.width, told.levels, told.embedding, words))
        return network, round(told.seconds * network.rate)

    def content(self, network: nn.Module) -> dict[str, Any]:
        assert isinstance(network, ClapMini)
        return clap_mini.to_checkpoint(network, self.settings.encoder)


class ContrastiveHtsat(ContrastiveWords[Htsat]):
    """``clap-htsat``."""

    def make(self, words: int) -> tuple[SentenceClap, int]:
        told = self.settings.network
        network = ClapHtsat(htsat.Sizes(told.width, told.depths), words)
        return network, network.samples

    def content(self, network: nn.Module) -> dict[str, Any]:
        assert isinstance(network, ClapHtsat)
        return clap_htsat.to_checkpoint(network, self.settings.encoder)
