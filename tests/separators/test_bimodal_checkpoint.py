"""Checkpoints of the bi-modal separator, and the texts that a loaded one is asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from soloist import separators
from soloist.separators.bimodal import BiModal, BiModalConfig
from soloist.separators.bimodal_checkpoint import LEFT, BiModalCheckpoints
from soloist.separators.bimodal_phrases import Phrase, condition, encode, read_phrase
from soloist.separators.clap_text import POSITION_NUMBERS, ClapText

SMALL = BiModalConfig(base=2, levels=5, attending=2, maps=5, words=64, embedding=7)
CLAP = "net_clap.model.model."
IDS = torch.full((3, 77), 1)  # texts of 5, 3 and 77 tokens
IDS[0, :5] = torch.tensor([0, 9, 8, 7, 2])
IDS[1, :3] = torch.tensor([0, 11, 2])
IDS[2] = torch.tensor([0, *range(3, 38), *range(3, 43), 2])

pytestmark = pytest.mark.filterwarnings("default")  # other people's, while libraries are imported


def small_text() -> ClapText:
    return ClapText(tokens=50, width=64, layers=2, hidden=32, embedding=7)


@pytest.fixture(scope="module")
def network() -> BiModal:
    torch.manual_seed(3)
    network = BiModal(SMALL, small_text()).eval()
    with torch.no_grad():  # louder than when training starts: words that matter
        network.net_synthesizer.scale.mul_(20)
        for level in network.net_sound.levels():
            if level.attends:
                level.attention.ca_block.attn.kv.weight.mul_(8)
                level.attention.ca_block.attn.proj.weight.mul_(8)
    return network


@pytest.fixture
def stored(network: BiModal) -> dict[str, Tensor]:
    """The state dict as training wrote it, the whole of CLAP and the front end in it."""
    needless = [key if key[-1] != "." else f"{key}weight" for key in LEFT]
    return dict(network.state_dict()) | {key: torch.zeros(2) for key in needless}


def save(state: dict[str, Tensor], path: Path) -> Path:
    history = {"train": {"err": [torch.tensor(1.0)], "sdr": [np.float64(2.5), np.float32(1)]}}
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save(
        {"epoch": 3, "state_dict": wrapped, "best_sdr": np.float64(4), "history": history}, path
    )
    return path


def test_a_checkpoint_is_recognised_and_filled(
    network: BiModal, stored: dict[str, Tensor], tmp_path: Path
) -> None:
    found = separators.load(save(stored, tmp_path / "model_best.pth.tar"))
    assert found.architecture == "bimodal"
    assert isinstance(found.network, BiModal)
    assert found.network.config == SMALL
    filled, expected = found.network.state_dict(), network.state_dict()
    assert filled.keys() == expected.keys()
    assert all(torch.equal(filled[key], expected[key]) for key in expected)


def test_the_text_branch_may_be_left_out(stored: dict[str, Tensor], tmp_path: Path) -> None:
    state = {key: value for key, value in stored.items() if not key.startswith(CLAP)}
    found = separators.load(save(state, tmp_path / "model.pth.tar")).network
    assert isinstance(found, BiModal)
    assert found.net_clap.text is None


@pytest.mark.parametrize(
    ("lost", "extra", "complaint"),
    [
        (f"{CLAP}text_projection.2.bias", None, f"1 key does not fit: missing {CLAP}text_proj"),
        ("net_synthesizer.bias", None, "missing net_synthesizer.bias"),
        (None, f"{CLAP}fusion.weight", f"unknown {CLAP}fusion.weight"),
        (None, "net_sound.extra", "unknown net_sound.extra"),
    ],
)
def test_keys_that_are_missing_or_unknown_are_listed(
    lost: str | None,
    extra: str | None,
    complaint: str,
    stored: dict[str, Tensor],
    tmp_path: Path,
) -> None:
    state = {key: value for key, value in stored.items() if key != lost}
    if extra:
        state[extra] = torch.zeros(1)
    with pytest.raises(ValueError, match=complaint):
        separators.load(save(state, tmp_path / "model.pth.tar"))


def test_other_conditioning_is_refused(stored: dict[str, Tensor], tmp_path: Path) -> None:
    state = {key: value for key, value in stored.items() if "ca_blocks" not in key}
    with pytest.raises(ValueError, match=r"5 levels, 0 of which attend to words; only .* sca"):
        separators.load(save(state, tmp_path / "model.pth.tar"))


def test_the_keys_are_the_published_ones(golden: Any) -> None:
    with torch.device("meta"):
        network = BiModal(BiModalConfig(), ClapText())
    published = golden.listing("bimodal")
    empty = {key: torch.empty(0) for key in published}
    found = {
        key: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in network.state_dict().items()
    }
    assert found == {key: published[key] for key in BiModalCheckpoints().own(empty, Path())}
    assert published[f"{CLAP}{POSITION_NUMBERS}"] == ((1, 514), "int64")


@torch.no_grad()
def test_padding_collapses_without_a_trace(network: BiModal) -> None:
    text = network.net_clap.text
    assert text is not None
    phrases = encode(text, IDS)
    assert [len(phrase.counts) for phrase in phrases] == [6, 4, 77]
    assert [int(phrase.counts.sum()) for phrase in phrases] == [77, 77, 77]
    states, embeddings = text(IDS)
    every_row = network.condition(states, torch.ones(3, 77), embeddings)
    sound = torch.randn(1, 32, 64, 2, generator=torch.Generator().manual_seed(1))
    expected = network(sound, every_row)
    assert (expected[0, 0] - expected[0, 1]).abs().max() > 1e-4
    found = network(sound, condition(network, phrases))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def same(found: Phrase, expected: Phrase) -> bool:
    return (
        torch.allclose(found.tokens, expected.tokens, atol=1e-6)
        and torch.equal(found.counts, expected.counts)
        and torch.allclose(found.embedding, expected.embedding, atol=1e-6)
    )


def test_queries_come_from_files_too(network: BiModal, tmp_path: Path) -> None:
    text = network.net_clap.text
    assert text is not None
    expected = encode(text, IDS)[0]
    np.save(tmp_path / "ids.npy", IDS[0].numpy())
    np.savez(tmp_path / "ids.npz", input_ids=IDS[0, :5].numpy())
    np.savez(
        tmp_path / "states.npz",
        hidden_tokens=expected.tokens[:-1].numpy(),
        hidden_pad=expected.tokens[-1].numpy(),
        text_embed=expected.embedding.numpy(),
    )
    assert same(read_phrase(tmp_path / "ids.npy", text, network.config), expected)
    assert same(read_phrase(tmp_path / "ids.npz", text, network.config), expected)
    assert same(read_phrase(tmp_path / "states.npz", None, network.config), expected)


SIZES = BiModalConfig(words=8, embedding=5)


def states(width: int, embedding: int) -> dict[str, Any]:
    return {
        "hidden_tokens": np.zeros((3, width)),
        "hidden_pad": np.zeros(width),
        "text_embed": np.zeros(embedding),
    }


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"a": np.zeros(2)}, "holds a; expected input_ids, or hidden_tokens"),
        ({"input_ids": np.array([0, 5, 6])}, "begin with 0 and end with 2"),
        ({"input_ids": np.array([0.0, 5.5, 2.0])}, "token numbers"),
        ({"input_ids": np.array([0, 5, 2])}, "no text branch to encode them"),
        (
            {
                "hidden_tokens": np.zeros((3, 8)),
                "hidden_pad": np.zeros(7),
                "text_embed": np.zeros(5),
            },
            "do not fit",
        ),
        (states(7, 5), r"\(3, 7\).* do not fit; expected \(1 to 77, 8\), \(8,\) and \(5,\)"),
        (states(8, 6), r"text_embed \(6,\) do not fit"),
        (states(8, 5) | {"hidden_pad": np.full(8, np.nan)}, "hidden_pad holds .* expected finite"),
        (states(8, 5) | {"text_embed": np.array(["a"] * 5)}, "text_embed holds <U1; expected"),
    ],
)
def test_files_that_are_no_query(arrays: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "query.npz", **arrays)
    with pytest.raises(ValueError, match=complaint):
        read_phrase(tmp_path / "query.npz", None, SIZES)


def test_a_file_that_is_no_array(tmp_path: Path) -> None:
    (tmp_path / "query.npy").write_text("violin")
    with pytest.raises(ValueError, match=r"cannot be read as \.npy or \.npz"):
        read_phrase(tmp_path / "query.npy", None, SIZES)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(No such file or directory\)"):
        read_phrase(tmp_path / "query.npz", None, SIZES)
