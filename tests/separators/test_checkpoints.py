"""Checkpoints as their authors wrote them: recognised, loaded key for key, or refused in a line."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from soloist import separators
from soloist.separators.bertsep import BERTSep
from soloist.separators.checkpoints import load_solo
from soloist.separators.clipsep import CLIPSep, CLIPSepNIT
from soloist.separators.early_fusion import EarlyFusion
from soloist.separators.labelsep import LabelSep
from soloist.separators.log_picture import Geometry
from soloist.separators.middle_fusion import MiddleFusion
from soloist.separators.pit import PIT
from soloist.separators.spectrogram import Spectrogram

SMALL = Geometry(maps=6, levels=5, base=16)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "clipsep": lambda: CLIPSep(SMALL),
    "clipsep-nit": lambda: CLIPSepNIT(SMALL),
    "clipsep-early": lambda: EarlyFusion(SMALL),
    "clipsep-middle": lambda: MiddleFusion(SMALL),
    "bertsep": lambda: BERTSep(SMALL),
    "labelsep": lambda: LabelSep(SMALL, 5),
    "pit": lambda: PIT(SMALL),
}
ARGUMENTS = {
    "channels": 6,
    "layers": 5,
    "audio_rate": 16000,
    "log_freq": True,
    "train_mode": "text",
}


def state_of(name: str) -> dict[str, Tensor]:
    torch.manual_seed(len(name))
    return NETWORKS[name]().state_dict()


@pytest.fixture(scope="module")
def clipsep() -> dict[str, Tensor]:
    return state_of("clipsep")


@pytest.mark.parametrize("name", NETWORKS)
def test_each_system_is_recognised_and_filled(name: str, tmp_path: Path) -> None:
    state = state_of(name)
    path = tmp_path / "model.pt"
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    found = separators.load(path)
    assert found.architecture == name
    assert type(found.network) is type(NETWORKS[name]())
    assert not found.network.training
    filled = found.network.state_dict()
    assert filled.keys() == state.keys()
    assert all(torch.equal(filled[key], state[key]) for key in state)


def test_the_keys_are_the_published_ones(golden: Any) -> None:
    published = golden.listing("clipsep")  # of NIT, which has two heads more
    for network in (CLIPSep, CLIPSepNIT):
        found = {
            key: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
            for key, value in network(Geometry()).state_dict().items()
        }
        heads = network is CLIPSepNIT
        assert found == {k: v for k, v in published.items() if heads or "pit_nets" not in k}


@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": state, "epoch": 3}])
def test_wrapped_or_not(wrap: Any, clipsep: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(wrap(clipsep), tmp_path / "model.pt")
    found = separators.load(tmp_path / "model.pt")
    assert found.architecture == "clipsep"
    assert found.facts == {}


@pytest.mark.parametrize("place", ["run/train-args.json", "run/checkpoints/train-args.json"])
def test_the_run_folder_says_how_it_was_trained(
    place: str, clipsep: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "run" / "checkpoints" / "best_model.pt"
    path.parent.mkdir(parents=True)
    torch.save(clipsep, path)
    (tmp_path / place).write_text(json.dumps(ARGUMENTS | {"hop_len": 128, "audio_len": 32767}))
    found = separators.load(path)
    assert found.facts["train_mode"] == "text"
    assert isinstance(found.network, CLIPSep)
    assert found.network.geometry.front == Spectrogram(16000, 1024, 128, 32767, "zeros")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "is no JSON object"),
        ("{", "cannot be read"),
        ('{"channels": 32}', "channels is 6, its train-args say 32"),
        ('{"fusion": "early"}', "fusion is 'late', its train-args say 'early'"),
        ('{"binary_mask": false}', "binary_mask is True, its train-args say False"),
        ('{"audio_rate": "16000"}', "expected positive whole numbers"),
        ('{"win_len": 512}', "a window as long as the transform"),
        ('{"audio_len": 40000}', "157 frames with hop_len 256.* 5 levels need multiples of 32"),
        ('{"hop_len": 500}', "132 frames with hop_len 500.* need multiples of 32"),
    ],
)
def test_arguments_that_cannot_be(
    text: str, complaint: str, clipsep: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(clipsep, tmp_path / "model.pt")
    (tmp_path / "train-args.json").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        separators.load(tmp_path / "model.pt")


def test_levels_that_cannot_halve_the_picture(clipsep: dict[str, Tensor], tmp_path: Path) -> None:
    kernels = {f"sound_net.more{n}.weight": torch.zeros(1, 1, 4, 4) for n in range(4)}
    torch.save({**clipsep, **kernels}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="it has 9 levels; expected 8 at most"):
        separators.load(tmp_path / "model.pt")


def test_keys_that_do_not_fit_are_listed(clipsep: dict[str, Tensor], tmp_path: Path) -> None:
    state = dict(clipsep)
    del state["synth_net.bias"]
    state["extra.weight"] = torch.zeros(3)
    state["frame_net.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt is no checkpoint of clipsep: 3 keys") as error:
        separators.load(tmp_path / "model.pt")
    for fault in (
        "missing synth_net.bias",
        "unknown extra.weight",
        "frame_net.bias is (7,), not (6,)",
    ):
        assert fault in str(error.value)


def test_a_long_list_is_cut_and_one_key_is_one(clipsep: dict[str, Tensor], tmp_path: Path) -> None:
    for unknown, complaint in (
        (1, r"1 key does not fit: unknown k0$"),
        (7, r"7 keys do not fit: unknown k0, .* k4, and 2 more$"),
    ):
        extra = {f"k{number}": torch.zeros(1) for number in range(unknown)}
        torch.save({**clipsep, **extra}, tmp_path / "model.pt")
        with pytest.raises(ValueError, match=complaint):
            separators.load(tmp_path / "model.pt")


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite(
    number: float, clipsep: dict[str, Tensor], tmp_path: Path
) -> None:
    bias = clipsep["frame_net.bias"].clone()
    bias[2] = number
    torch.save({**clipsep, "frame_net.bias": bias}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"clipsep: frame_net\.bias holds numbers that are not"):
        separators.load(tmp_path / "model.pt")


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.write_text, (self.mark, "ran")


def pickled(protocol: int) -> Callable[[Any, Path], Any]:
    return lambda value, path: path.write_bytes(pickle.dumps(value, protocol))


@pytest.mark.filterwarnings("error")  # nothing of torch's comes before our line
@pytest.mark.parametrize("save", [torch.save, pickled(2), pickled(4)])
def test_code_in_a_file_is_never_run(save: Any, clipsep: dict[str, Tensor], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    save({**clipsep, "trap": Trap(mark)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="without running code from it") as error:
        separators.load(tmp_path / "model.pt")
    assert "\n" not in str(error.value)
    assert "PyTorch" not in str(error.value)
    assert not mark.exists()


@pytest.mark.parametrize("content", [{"a": torch.zeros(2)}, {}, {"a": 1}, [1, 2], torch.zeros(3)])
def test_other_files_are_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="of a system that is known here: solo, labelsep"):
        separators.load(tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="no checkpoint that torch can read"):
        separators.load(tmp_path / "model.pt")
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        separators.load(tmp_path / "absent.pt")


def test_another_system_is_not_solo(clipsep: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(clipsep, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="is a checkpoint of clipsep, not of solo"):
        load_solo(tmp_path / "model.pt")
