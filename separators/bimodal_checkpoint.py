"""Checkpoints of the bi-modal separator: they hold the whole of CLAP beside the separator."""

from __future__ import annotations

from pathlib import Path

from .bimodal import BiModal, BiModalConfig
from .checkpoint_files import Arguments, State, size
from .clap_text import POSITION_NUMBERS, ClapText

LEFT = (
    "net_clap.model.model.audio_branch.",  # CLAP's ear: heard in training only
    "net_clap.model.model.audio_projection.",
    "net_clap.model.model.audio_transform.",  # stored with CLAP, used by none of its code
    "net_clap.model.model.text_transform.",
    "net_clap.model.model.logit_scale_a",  # scales of the contrastive loss
    "net_clap.model.model.logit_scale_t",
    f"net_clap.model.model.{POSITION_NUMBERS}",
    "stft.",  # the front end as convolutions, made by formula here
    "istft.",
)
"""What of a checkpoint is not loaded; any other key that the network does not know is refused."""

_LEVEL = "net_sound.unet_block."
_CLAP = "net_clap.model.model."


class BiModalCheckpoints:
    """How a checkpoint of the system is recognised and what it becomes."""

    def claims(self, state: State) -> bool:
        """Whether a state dict is meant to be this system's."""
        return {"net_sound.bn0.weight", "net_clap.fc.weight"} <= state.keys()

    def own(self, state: State, path: Path) -> State:
        """All but those that are known to be needless."""
        return {key: tensor for key, tensor in state.items() if not key.startswith(LEFT)}

    def build(self, state: State, arguments: Arguments) -> BiModal:
        """The network of the sizes that the tensors have, with its text branch where it is there.

        Without one the separator still works; its queries have to be encoded elsewhere.
        """
        levels = 0
        while f"{_LEVEL}{'submodule.' * levels}downconv.weight" in state:
            levels += 1
        kv = [key for key in state if key.endswith(".ca_block.attn.kv.weight")]
        if not levels or not kv:
            raise ValueError(
                f"it has {levels} levels, {len(kv)} of which attend to words; only networks with "
                "self- and cross-attention (cond_layer sca) are known here"
            )
        config = BiModalConfig(
            base=size(state, f"{_LEVEL}downconv.weight", 0),
            levels=levels,
            attending=len(kv),
            maps=size(state, "net_clap.fc.weight", 0),
            words=size(state, kv[0], 1),
            embedding=size(state, "net_clap.fc.weight", 1),
        )
        text = {key.removeprefix(_CLAP): state[key] for key in state if key.startswith(_CLAP)}
        has_text = any(key.startswith("text_") for key in text)
        return BiModal(config, ClapText.like(text) if has_text else None)
