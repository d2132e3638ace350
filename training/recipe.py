"""What a recipe gives to the trainer: a network, its loss, examples to learn from, figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from ..separators import load
from .settings import Run

Settings = TypeVar("Settings", bound=Run)
Batch = Mapping[str, Tensor]
"""Examples side by side, each tensor with the batch first."""


@dataclass(frozen=True)
class Heard:
    """A mixture, what was wanted of it and what a network made of it: samples, each ``(n,)``."""

    words: str
    rate: int
    mixture: NDArray[np.float32]
    wanted: NDArray[np.float32]
    estimate: NDArray[np.float32]


class Recipe(nn.Module, ABC, Generic[Settings]):
    """A network, its loss and its examples.

    As a module it is what learns: ``forward(batch) -> loss``, the mean over the batch, so that the
    gradients of several processes average to those of one.

    Attributes:
        settings: what the run was told.
        network: what is averaged over the steps, scored and kept. What else learns, such as heads
            that only training needs, are other attributes.
        examples: item ``i`` is the same mapping of arrays whenever it is drawn.
    """

    settings: Settings
    network: nn.Module
    examples: Dataset[Mapping[str, Any]]

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""

    @abstractmethod
    def optimisers(self) -> list[Optimizer]:
        """Optimisers of all that learns; the trainer scales the rates that they begin with."""

    @abstractmethod
    def score(self, network: nn.Module) -> tuple[dict[str, float], Sequence[Heard]]:
        """Figures on listed mixtures, and a few of them to listen to; none where none are listed.

        Args:
            network: the averaged one, in evaluation mode.
        """

    @abstractmethod
    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        """Writes the checkpoint that ``separators.load`` reads.

        Args:
            folder: it exists.
            network: the averaged one.
            facts: how it was trained; the curve of figures is under ``curve``.
        """


def begin_with(network: nn.Module, path: Path, begun_anew: Sequence[str] = ()) -> None:
    """Give a network the weights of a checkpoint of its own kind and sizes.

    Args:
        network: what learns.
        path: the checkpoint.
        begun_anew: beginnings of names of weights that the checkpoint need not have.

    Raises:
        ValueError: it is of another kind, or of other sizes.
    """
    own, given = network.state_dict(), load(path).network.state_dict()
    sizes = {name: weights.shape for name, weights in given.items()}
    new = own.keys() - given.keys()
    fits = sizes == {name: own[name].shape for name in own.keys() - new}
    if not fits or not all(name.startswith(tuple(begun_anew)) for name in new):
        raise ValueError(f"start: {path} is not of this recipe or not of the sizes in [network]")
    network.load_state_dict(given, strict=False)
