"""What of the files of CLAPSep and AudioSep is taken, and what is missed, by tiny tensors."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from soloist import separators
from soloist.separators.audiosep_checkpoint import AudioSepCheckpoints
from soloist.separators.clap import CLAP_SPEECH, Clap
from soloist.separators.clap_text import ClapText
from soloist.separators.clapsep_checkpoint import CLAPSepCheckpoints

LAYER = "audio_branch.layers.0.blocks.0.attn.qkv"
CLAP = "music_audioset_epoch_15_esc_90.14.pt"
OWN = {
    "decoder_model.mask_net.0.weight": torch.ones(2),
    f"{LAYER}.lora_A": torch.ones(16, 3),
    f"{LAYER}.lora_B": torch.ones(9, 16),
    f"{LAYER}.bias": torch.full((9,), 7.0),
    f"clap_model.model.{LAYER}.bias": torch.ones(9),
}
BASE = {
    "module.audio_branch.patch_embed.proj.weight": torch.ones(4),
    f"module.{LAYER}.weight": torch.ones(9, 3),
    f"module.{LAYER}.bias": torch.zeros(9),
    "module.audio_branch.norm.weight": torch.ones(4),
    "module.text_branch.pooler.dense.bias": torch.ones(4),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save({"state_dict": BASE}, tmp_path / CLAP)
    return tmp_path / "best_model.ckpt"


def test_which_file_gives_what(path: Path) -> None:
    found = CLAPSepCheckpoints().own(OWN, path)
    assert found.keys() == {
        "decoder_model.mask_net.0.weight",
        "audio_branch.patch_embed.proj.weight",
        f"{LAYER}.weight",
        f"{LAYER}.bias",
    }
    torch.testing.assert_close(found[f"{LAYER}.weight"], torch.full((9, 3), 2.0))  # 1 + 16 / 16
    torch.testing.assert_close(found[f"{LAYER}.bias"], torch.full((9,), 7.0))


def test_clap_may_lie_beside_the_folder(path: Path) -> None:
    assert CLAPSepCheckpoints().own(OWN, path.parent / "run" / path.name).keys()


def test_a_checkpoint_that_holds_everything(tmp_path: Path) -> None:
    base = {key.removeprefix("module."): tensor for key, tensor in BASE.items()}
    whole = {**{key: base[key] for key in base if key.startswith("audio_branch.")}, **OWN}
    found = CLAPSepCheckpoints().own(whole, tmp_path / "last.ckpt")
    torch.testing.assert_close(found[f"{LAYER}.weight"], torch.full((9, 3), 2.0))
    again = CLAPSepCheckpoints().own(found, tmp_path / "ours.ckpt")
    assert again.keys() == found.keys()
    assert torch.equal(again[f"{LAYER}.weight"], found[f"{LAYER}.weight"])


@pytest.mark.parametrize("part", ["lora_A", "lora_B", "bias"])
def test_what_training_changed_must_be_there(part: str, path: Path) -> None:
    own = {key: tensor for key, tensor in OWN.items() if key != f"{LAYER}.{part}"}
    with pytest.raises(ValueError, match=rf"1 key does not fit: missing {LAYER}\.{part}"):
        CLAPSepCheckpoints().own(own, path)


def test_clap_must_lie_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "best_model.ckpt"
    torch.save(OWN, path)
    with pytest.raises(ValueError, match=rf"no checkpoint of clapsep: .* {CLAP} must lie beside"):
        separators.load(path)
    torch.save({"a": torch.ones(1)}, tmp_path / CLAP)
    with pytest.raises(ValueError, match=rf"{CLAP} is no checkpoint of LAION-CLAP"):
        separators.load(path)


def test_what_is_left_of_audiosep() -> None:
    keys = {
        "ss_model.base.pre_conv.weight": "base.pre_conv.weight",
        "ss_model.film.decoder_block1->beta1.weight": "film.decoder_block1->beta1.weight",
        "ss_model.film.decoder_block1->beta2.weight": None,
        "ss_model.film.decoder_block1->conv_block2->beta2.bias": (
            "film.decoder_block1->conv_block2->beta2.bias"
        ),
        "ss_model.base.decoder_block6.bn2.weight": None,
        "ss_model.base.decoder_block6.conv_block2.bn2.weight": (
            "base.decoder_block6.conv_block2.bn2.weight"
        ),
        "ss_model.base.istft.ola_window": None,
        "query_encoder.model.text_branch.pooler.dense.bias": None,
        "unheard.of": "unheard.of",  # for `fill` to refuse
    }
    state: dict[str, Tensor] = {key: torch.zeros(1) for key in keys}
    assert AudioSepCheckpoints().claims(state)
    found = AudioSepCheckpoints().own(state, Path("x.ckpt"))
    assert found.keys() == {name for name in keys.values() if name}


@torch.no_grad()
@pytest.mark.parametrize("place", ["", "query_encoder.model.", "clap_model.model."])
def test_clap_within_a_separators_checkpoint(place: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    text = ClapText(tokens=10, width=64, layers=1, hidden=8, embedding=6).eval()
    state = {f"{place}{key}": tensor for key, tensor in text.state_dict().items()}
    torch.save({"state_dict": {**state, "ss_model.x": torch.ones(1)}}, tmp_path / "any.ckpt")
    ids = torch.tensor([[0, 5, 2, 1, 1]])
    found = Clap(tmp_path / "any.ckpt", name=CLAP_SPEECH)
    assert found.name == CLAP_SPEECH
    torch.testing.assert_close(torch.from_numpy(found.encode_tokens(ids)), text(ids)[1])
