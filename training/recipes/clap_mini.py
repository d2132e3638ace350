"""``clap-mini``: a small joint model of sounds and words, by contrast within a batch.

What weak supervision leans on where LAION-CLAP's weights cannot be had. Sentence embeddings stay
as they are; all else learns. The loss is that of CLIP and CLAP, in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ...separators.clap_mini import RATE, ClapMini, ClapMiniSizes, to_checkpoint
from ..bimodal_losses import contrastive
from ..captions import Captioned, Captions
from ..clips import load_clips
from ..joint import Sentences
from ..phrases import ENCODER
from ..recipe import Batch, Heard, Recipe
from ..settings import Run, Table
from ..trainer import write

_MOST_S = 10.0  # of a clip to score on


class MiniSizes(Table):
    """The network.

    Attributes:
        width: channels of its first level, which double from level to level.
        levels: each halves 64 bands and the frames of 16 ms.
        embedding: of the joint space.
        seconds: of an example.
    """

    width: int = Field(default=32, ge=1, le=512)
    levels: int = Field(default=4, ge=1, le=5)
    embedding: int = Field(default=128, ge=2, le=4096)
    seconds: float = Field(default=4.0, ge=1.1, le=30)


class Contrast(Run):
    """What the recipe is told; it is scored on the manifest's dev clips, not on mixtures."""

    network: MiniSizes = MiniSizes()
    mixing: Captions = Captions(sources=2, singles=0.5)
    encoder: str = ENCODER
    weight_decay: float = Field(default=1e-4, ge=0)


class ContrastiveWords(Recipe[Contrast]):
    """Sounds beside their captions, the other captions of the batch away from them."""

    network: ClapMini
    examples: Captioned

    def __init__(self, settings: Contrast) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        told = settings.network
        clips = load_clips(settings.manifest, "train", RATE)
        self.labels = sorted({clip.label for clip in clips})
        self.tests = load_clips(settings.manifest, "dev", RATE)
        samples = round(told.seconds * RATE)
        self.examples = Captioned(clips, settings.mixing, 1, samples, settings.seed)
        self.sentences = Sentences(settings.encoder)
        names = [label.replace("_", " ") for label in self.labels]
        self.names = torch.stack([self.sentences.phrase(name).embedding for name in names])
        sizes = ClapMiniSizes(told.width, told.levels, told.embedding, self.names.shape[1])
        self.network = ClapMini(sizes)

    def forward(self, batch: Batch) -> Tensor:
        sounds = self.network.sounds(batch["sounds"].sum((1, 2)))
        captions, _ = self.examples.words(batch["phrases"])
        words = torch.stack([self.sentences.phrase(text).embedding for (text,) in captions])
        named = self.network.texts(words.to(sounds.device))
        with torch.autocast(sounds.device.type, enabled=False):
            one, other = (part.float()[:, None, None] for part in (sounds, named))
            scale = self.network.bounded_log_scale
            return (contrastive(one, other, scale) + contrastive(other, one, scale)) / 2

    def optimisers(self) -> list[Optimizer]:
        told = self.settings
        return [Adam(self.parameters(), lr=told.rate, weight_decay=told.weight_decay)]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        """How often the nearest class name, or one of the nearest five, is a dev clip's own."""
        assert isinstance(network, ClapMini)
        device = network.log_scale.device
        names = network.texts(self.names.to(device))
        ranks = []
        for clip in self.tests:
            if clip.label not in self.labels:
                continue
            audio = np.resize(clip.samples, max(len(clip.samples), RATE))[: round(_MOST_S * RATE)]
            sound = network.sounds(torch.from_numpy(audio / np.float32(32768))[None].to(device))
            near = (sound @ names.T)[0]
            ranks.append(int((near > near[self.labels.index(clip.label)]).sum()))
        if not ranks:
            return {}, ()
        top = {f"top_{n}": round(float(np.mean(np.less(ranks, n))), 3) for n in (1, 5)}
        return top, ()

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        assert isinstance(network, ClapMini)
        content = to_checkpoint(network, self.settings.encoder) | {"facts": dict(facts)}
        write(folder / "checkpoint.pt", content)
