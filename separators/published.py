"""The published systems: how a checkpoint of each is told from the others, and what it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import nn

from . import clipsep_family
from .audiosep_checkpoint import AudioSepCheckpoints
from .bimodal_checkpoint import BiModalCheckpoints
from .checkpoint_files import Arguments, State
from .clapsep_checkpoint import CLAPSepCheckpoints


class Published(Protocol):
    """One system, as far as its checkpoints go."""

    def claims(self, state: State) -> bool:
        """Whether a state dict, by its keys, is meant to be this system's."""

    def own(self, state: State, path: Path) -> State:
        """The tensors of a state dict that the network takes, and any that nobody knows.

        `path` is the checkpoint's, for what lies beside it.

        Raises:
            ValueError: what must lie beside it does not, or tensors do not go together.
        """

    def build(self, state: State, arguments: Arguments) -> nn.Module:
        """The network for a state dict and its training's arguments, not filled yet.

        Raises:
            ValueError: sizes or arguments that the system cannot have.
        """


PUBLISHED: dict[str, Published] = {
    **clipsep_family.MEMBERS,
    "bimodal": BiModalCheckpoints(),
    "clapsep": CLAPSepCheckpoints(),
    "audiosep": AudioSepCheckpoints(),
}
"""By name, as in ``soloist export NAME``; the first that claims a state dict has it."""
