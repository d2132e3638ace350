"""Checkpoints of AudioSep: one file with the separator and, for its queries, the whole of CLAP."""

from __future__ import annotations

import re
from pathlib import Path

from .audiosep import AudioSep
from .checkpoint_files import Arguments, State

_SEPARATOR = "ss_model."
_LEFT = re.compile(
    r"query_encoder\."  # CLAP; see clap.Clap
    r"|ss_model\.base\.i?stft\."  # the front end as convolutions, made by formula here
    # a norm and its shift that the published decoder has and never uses
    r"|ss_model\.base\.decoder_block\d\.bn2\."
    r"|ss_model\.film\.decoder_block\d->beta2\."
)
"""What of a checkpoint is not loaded; any other key that the network does not know is refused."""


class AudioSepCheckpoints:
    """How a checkpoint of the system is recognised and what it becomes."""

    def claims(self, state: State) -> bool:
        """Whether a state dict is meant to be this system's."""
        return f"{_SEPARATOR}base.pre_conv.weight" in state

    def own(self, state: State, path: Path) -> State:
        """All of the separator but for what is known to be needless."""
        kept = {key: tensor for key, tensor in state.items() if not _LEFT.match(key)}
        return {key.removeprefix(_SEPARATOR): tensor for key, tensor in kept.items()}

    def build(self, state: State, arguments: Arguments) -> AudioSep:
        """The network; there is one size of it."""
        return AudioSep()
