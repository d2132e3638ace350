"""``listener``: which sounds are in a mixture, learned from mixtures, on top of YAMNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from ...separators.checkpoint_files import read_file
from ...separators.listener import PATCH, Listener, spectrum, to_checkpoint
from ...separators.yamnet import BINS, FRAMES, RATE
from ..clips import load_clips
from ..development import Development
from ..mixture_list import Mixture
from ..mixtures import Mixtures, Scenes
from ..recipe import Batch, Heard, Recipe
from ..settings import FilePath, Run
from ..trainer import write

_LEAST_SHARE = 0.05
"""Of a patch's energy, below which a sound counts as not there."""
_BEFORE = 72
"""Frames that a patch may begin before the mixture does: a stream begins with silence."""
_RANKS = (1, 3, 10)


class Listening(Run):
    """What the recipe is told.

    Attributes:
        start: weights of YAMNet, see ``tools/make_yamnet``; none: it begins from nothing.
        seconds: length of a mixture.
        patches: how many of a mixture's are heard, anywhere in it.
        dropout: share of the features left out before each product after the trunk.
        trunk_rate: of the trunk, as a share of ``rate``.
    """

    start: FilePath | None = None
    seconds: float = Field(default=3.0, ge=1, le=60)
    patches: int = Field(default=4, ge=1, le=64)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    trunk_rate: float = Field(default=0.4, ge=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0)
    scenes: Scenes = Scenes()


class Presence(Recipe[Listening]):
    """The cross-entropy of each class's presence in a patch, summed over the classes."""

    network: Listener
    examples: Mixtures

    def __init__(self, settings: Listening) -> None:
        super().__init__()
        self.settings = settings
        torch.manual_seed(settings.seed)
        clips = load_clips(settings.manifest, "train", RATE)
        # nobody asks for anything here
        words = dict.fromkeys((p for clip in clips for p in clip.phrases), np.ones(1, np.float32))
        samples = round(settings.seconds * RATE)
        self.examples = Mixtures(clips, words, settings.scenes, samples, RATE, BINS, settings.seed)
        self.network = Listener(self.examples.classes.labels)
        if settings.start is not None:
            try:
                self.network.trunk.load_state_dict(read_file(settings.start))
            except (RuntimeError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"start: {settings.start} is not what tools/make_yamnet wrote"
                ) from error
        self.development: Development | None = None
        if settings.mixtures is not None:
            self.development = Development(settings.mixtures, settings.every)

    def forward(self, batch: Batch) -> Tensor:
        magnitudes, energy = self._heard(batch)
        frames = energy.shape[-1]
        # anywhere, from where the mixture is almost silence still
        starts = torch.randint(-_BEFORE, frames - FRAMES + 1, (len(energy), self.settings.patches))
        at = (starts + _BEFORE)[..., None] + torch.arange(FRAMES)
        rows = torch.arange(len(energy))[:, None, None]
        patches = functional.pad(magnitudes, (0, 0, _BEFORE, 0))[rows, at]
        heard = functional.pad(energy, (_BEFORE, 0))[rows, :, at].sum(2)
        share = heard / (heard.sum(-1, keepdim=True) + 1e-9)
        present = self._present(share, batch["numbers"])
        dropout = self.settings.dropout if self.network.training else 0.0
        logits = self.network(patches.flatten(0, 1), dropout)
        losses = functional.binary_cross_entropy_with_logits(
            logits.float(), present.flatten(0, 1), reduction="none"
        )
        return losses.sum(-1).mean()

    @torch.no_grad()
    def _heard(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mixture's magnitudes, ``(batch, frames, bins)``, and the energy of each sound,
        ``(batch, sounds, frames)``.
        """
        spectra = spectrum(batch["sources"]) * batch["equalisers"][:, :, None]
        mixture = spectra.sum(1) + spectrum(batch["background"])
        return mixture.abs(), torch.view_as_real(spectra).square().sum((-2, -1))

    def _present(self, share: Tensor, numbers: Tensor) -> Tensor:
        """Shares of each sound ``(batch, patches, sounds)`` as labels, ``(..., classes)``."""
        # one class more than there are takes the sounds that are none
        labels = share.new_zeros(*share.shape[:2], len(self.network.classes) + 1)
        numbers = numbers[:, None].expand(share.shape) % labels.shape[-1]
        labels.scatter_reduce_(-1, numbers, (share > _LEAST_SHARE).to(share), "amax")
        return labels[..., :-1]

    def optimisers(self) -> list[Optimizer]:
        told, trunk = self.settings, self.network.trunk
        rest = [p for name, p in self.named_parameters() if not name.startswith("network.trunk")]
        groups = [
            {"params": list(trunk.parameters()), "lr": told.trunk_rate * told.rate},
            {"params": rest, "lr": told.rate},
        ]
        return [AdamW(groups, weight_decay=told.weight_decay)]

    @torch.no_grad()
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        """Of each listed mixture's target the rank among all classes, heard over all of it."""
        if self.development is None:
            return {}, ()
        assert isinstance(network, Listener)
        ranks: list[int] = []
        device = network.presence.weight.device

        def listen(audio: NDArray[np.float32], mixture: Mixture) -> NDArray[np.float32]:
            if mixture.target is not None and mixture.target_class in network.classes:
                before = functional.pad(torch.from_numpy(audio).to(device), (PATCH, 0))
                patches = spectrum(before).abs().unfold(-2, FRAMES, FRAMES // 4).transpose(1, 2)
                found = torch.sigmoid(network(patches)).mean(0)
                own = found[network.classes.index(mixture.target_class)]
                ranks.append(int((found >= own).sum()))
            return audio

        self.development.score(listen, RATE)
        if not ranks:
            return {}, ()
        top = {f"top_{n}": round(float(np.mean(np.less_equal(ranks, n))), 3) for n in _RANKS}
        return top, ()

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        assert isinstance(network, Listener)
        write(folder / "checkpoint.pt", to_checkpoint(network) | {"facts": dict(facts)})
