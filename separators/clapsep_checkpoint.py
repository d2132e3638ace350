"""Checkpoints of CLAPSep: its own file, and CLAP's, which it adapts.

The published ``best_model.ckpt`` holds what training changed: the decoder (``decoder_model.*``),
and of the encoder the low-rank matrices and the biases of its attention (``audio_branch.*lora_A``,
``lora_B``, ``attn.*.bias``). All else of the encoder is CLAP's, from the file that LAION published
(``music_audioset_epoch_15_esc_90.14.pt``), which must lie beside it or beside its folder. A
checkpoint of the repository's own training holds everything, and needs no other, nor does one of
``soloist train clapsep``, which may be of other sizes. The queries' encoders are CLAP's as well,
see :class:`~.clap.Clap`.
"""

from __future__ import annotations

from pathlib import Path

from . import htsat
from .checkpoint_files import Arguments, State, companion, read_file, size, unfit, unwrap
from .clap import CLAP, FILES
from .clapsep import CLAPSep, Sizes

LEFT = (
    "clap_model.",  # CLAP as it is, for queries
    "stft.",  # front ends, made by formula here
    "istft.",
    "resampler.",
    "audio_branch.spectrogram_extractor.",
    "audio_branch.logmel_extractor.",
    "audio_branch.norm.",  # of CLAP's classifier, on which no mask depends
    "audio_branch.tscam_conv.",
    "audio_branch.head.",
)
"""What of a checkpoint is not loaded; any other key that the network does not know is refused."""
_TABLES = (".relative_position_index", ".attn_mask")  # by formula here
_ADAPTED = (".attn.qkv.weight", ".attn.proj.weight")
_ENCODER = "audio_branch."


class CLAPSepCheckpoints:
    """How a checkpoint of the system is recognised and what it becomes."""

    def claims(self, state: State) -> bool:
        """Whether a state dict is meant to be this system's."""
        return "decoder_model.mask_net.0.weight" in state

    def own(self, state: State, path: Path) -> State:
        """The network's tensors, CLAP's among them, with the low-rank changes added.

        Raises:
            ValueError: CLAP's file is missing or is none, or layers lack their changes.
        """
        own = {key: tensor for key, tensor in state.items() if _is_used(key)}
        if f"{_ENCODER}patch_embed.proj.weight" not in own:
            own = {**_base(path), **own}
        elif not any(".lora_" in key for key in own):
            return own  # added before it was saved
        _check_changes(own, state)
        return htsat.merged(own)

    def build(self, state: State, arguments: Arguments) -> CLAPSep:
        """The network, of the sizes that the tensors have."""
        width = size(state, "decoder_model.mask_net.0.weight", 0)
        layers = _depth(state, "decoder_model.mask_net.2.layers.{}.linear1.weight", width)
        return CLAPSep(sizes=Sizes(encoder_sizes(state), width, layers))


def encoder_of(clap: State) -> State:
    """Of CLAP's tensors those of the encoder, ``audio_branch.*``, as far as CLAPSep takes it."""
    return {key: clap[key] for key in clap if key.startswith(_ENCODER) and _is_used(key)}


def encoder_sizes(state: State) -> htsat.Sizes:
    """Sizes of the encoder whose tensors ``audio_branch.*`` are.

    Raises:
        ValueError: tensors are missing, or there is no encoder of such a size.
    """
    width = size(state, f"{_ENCODER}patch_embed.proj.weight", 0)
    depths: list[int] = []
    while not depths or depths[-1]:
        stage = len(depths)
        block = f"{_ENCODER}layers.{stage}.blocks.{{}}.mlp.fc1.weight"
        depths.append(_depth(state, block, width << stage))
    return htsat.Sizes(width, tuple(depths[:-1]))


def _depth(state: State, pattern: str, width: int) -> int:
    """How many layers there are, counted by their first dense one.

    A network takes memory before it is filled: no more than by some factor than tensors that are
    there, since each must have that width.
    """
    number = 0
    while (key := pattern.format(number)) in state:
        if state[key].shape != (4 * width, width):
            raise ValueError(unfit([f"{key} is {tuple(state[key].shape)}"]))
        number += 1
    return number


def _is_used(key: str) -> bool:
    return not key.startswith(LEFT) and not key.endswith(_TABLES)


def _base(checkpoint: Path) -> State:
    """CLAP's audio branch, from the file that lies beside a checkpoint or its folder."""
    found = companion(checkpoint, FILES[CLAP])
    if found is None:
        raise ValueError(f"it adapts LAION-CLAP, whose file {FILES[CLAP]} must lie beside it")
    base = encoder_of(unwrap(read_file(found)) or {})
    if not base:
        raise ValueError(f"{found} is no checkpoint of LAION-CLAP")
    return base


def _check_changes(own: State, given: State) -> None:
    """What training changed must come from its own file, or CLAP's would stand there unnoticed."""
    missing = []
    for key in own:
        if key.startswith(_ENCODER) and key.endswith(_ADAPTED):
            layer = key.removesuffix(".weight")
            parts = [f"{layer}.{part}" for part in ("lora_A", "lora_B", "bias")]
            missing += [part for part in parts if part not in given]
    if missing:
        raise ValueError(unfit([f"missing {key}" for key in missing]))
