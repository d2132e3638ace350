"""CLIPSep and its relatives as checkpoints: which of them one is, and of what sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from .bertsep import BERT_MINI_SIZE, BERTSep
from .checkpoint_files import Arguments, State, size
from .clipsep import CLIPSep, CLIPSepNIT
from .early_fusion import EarlyFusion
from .labelsep import LabelSep
from .log_picture import Geometry
from .middle_fusion import MiddleFusion
from .pit import PIT
from .spectrogram import Spectrogram
from .unet import BASE

_MOST_LEVELS = 8  # they halve the picture's 256 rows to one


@dataclass(frozen=True)
class Member:
    """One system of the family.

    Attributes:
        network: makes it, of its sizes and the tensors it will be filled with.
        told_by: a key that it has and that none of the members after it has.
        sized_by: the key of a matrix or kernel, and which of its axes has an entry for each map.
        fusion: what training's arguments call the place where the query comes in.
    """

    network: Callable[[Geometry, State], nn.Module]
    told_by: str = "synth_net.scale"
    sized_by: tuple[str, int] = ("frame_net.weight", 0)
    fusion: str = "late"

    def claims(self, state: State) -> bool:
        """Whether a state dict is meant to be this system's."""
        return {"sound_net.bn0.weight", self.told_by} <= state.keys()

    def own(self, state: State, path: Path) -> State:
        """All of it: nothing in these checkpoints is needless."""
        return state

    def build(self, state: State, arguments: Arguments) -> nn.Module:
        """The network for a state dict; ``ValueError`` where arguments and tensors disagree."""
        key, axis = self.sized_by
        maps = size(state, key, axis)
        halvings = [
            key for key in state if key.startswith("sound_net.") and state[key].shape[2:] == (4, 4)
        ]
        facts = {"channels": maps, "layers": len(halvings), "fusion": self.fusion}
        # neither could be trained with the published code, nor played by the networks here
        facts |= {"log_freq": True, "binary_mask": True}
        for name, value in facts.items():
            if arguments.get(name, value) != value:
                raise ValueError(f"{name} is {value!r}, its train-args say {arguments[name]!r}")
        base = min((state[key].shape[0] for key in halvings), default=BASE)
        geometry = Geometry(_front(arguments), maps=maps, levels=len(halvings), base=base)
        _check_halves(geometry)
        return self.network(geometry, state)


class _BERTSep(Member):
    def claims(self, state: State) -> bool:
        matrix = state.get("frame_net.weight")
        wide = matrix is not None and matrix.shape[-1:] == (BERT_MINI_SIZE,)
        return wide and super().claims(state)


MEMBERS: dict[str, Member] = {
    "labelsep": Member(
        lambda sizes, state: LabelSep(sizes, size(state, "label_net.weight", 0)), "label_net.weight"
    ),
    "pit": Member(lambda sizes, _: PIT(sizes), "synth_net.weight", ("synth_net.weight", 1)),
    "clipsep-early": Member(
        lambda sizes, _: EarlyFusion(sizes),
        "frame_net.fc.weight",
        ("frame_net.fc.weight", 0),
        fusion="early",
    ),
    "clipsep-middle": Member(
        lambda sizes, _: MiddleFusion(sizes),
        "sound_net.unet_block.downconv.weight",
        fusion="middle",
    ),
    "clipsep-nit": Member(lambda sizes, _: CLIPSepNIT(sizes), "pit_nets.0.weight"),
    "bertsep": _BERTSep(lambda sizes, _: BERTSep(sizes)),
    "clipsep": Member(lambda sizes, _: CLIPSep(sizes)),
}
"""By name; the first that claims a state dict has it."""


def _check_halves(geometry: Geometry) -> None:
    """Every level halves both sides of the picture, and doubles what came back to the same size."""
    if geometry.levels > _MOST_LEVELS:
        raise ValueError(f"it has {geometry.levels} levels; expected {_MOST_LEVELS} at most")
    frames, rows, step = geometry.front.frames, geometry.rows, 2**geometry.levels
    if frames % step or rows % step:
        raise ValueError(
            f"a clip of audio_len {geometry.front.clip} has {frames} frames with hop_len "
            f"{geometry.front.hop}, in {rows} rows; its {geometry.levels} levels need multiples of "
            f"{step}"
        )


def _front(arguments: Arguments) -> Spectrogram:
    usual = Geometry().front
    found = {
        "audio_rate": arguments.get("audio_rate", usual.sample_rate),
        "n_fft": (n_fft := arguments.get("n_fft", usual.n_fft)),
        "win_len": arguments.get("win_len", n_fft),
        "hop_len": arguments.get("hop_len", usual.hop),
        "audio_len": arguments.get("audio_len", usual.clip),
    }
    if any(type(value) is not int or value < 1 for value in found.values()):
        raise ValueError(f"its train-args say {found}; expected positive whole numbers")
    rate, n_fft, window, hop, clip = found.values()
    if window != n_fft or n_fft % 2 or n_fft < 2 * hop or clip < n_fft:
        raise ValueError(
            f"its train-args say {found}; expected a window as long as the transform, of an even "
            "length, two hops or more, and a clip that holds one"
        )
    return Spectrogram(rate, n_fft, hop, clip, usual.padding)
