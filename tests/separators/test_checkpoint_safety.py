"""Checkpoints that claim more than they hold are refused before memory is taken for them."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from soloist.separators import checkpoint_safety
from soloist.separators.checkpoint_files import read_file
from soloist.separators.checkpoints import load
from soloist.separators.solo import Solo, SoloConfig

SMALL = SoloConfig(width=16, memory=8, blocks=2, patch_width=4, maps=8, embedding=6)


def checkpoint() -> dict[str, Any]:
    return {
        "config": SMALL.to_dict(),
        "weights": Solo(SMALL).state_dict(),
        "facts": {"vocabulary": {}, "encoder": "toy"},
        "curve": [],
    }


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_what_training_writes_is_read(tmp_path: Path) -> None:
    assert load(saved(tmp_path / "a.pt", checkpoint())).architecture == "solo"


def test_records_that_unpack_to_more_than_the_file(tmp_path: Path) -> None:
    small, bomb = saved(tmp_path / "a.pt", {"w": torch.zeros(100_000)}), tmp_path / "bomb.pt"
    with zipfile.ZipFile(small) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert bomb.stat().st_size < small.stat().st_size / 100
    assert torch.load(bomb, weights_only=True)["w"].numel() == 100_000  # torch would take it
    refused(bomb, "is packed")


@pytest.mark.parametrize(
    ("limit", "words"), [("MOST_BYTES", "at most 9 are"), ("MOST_PICKLED", "pickle has")]
)
def test_files_beyond_all_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(checkpoint_safety, limit, 9)
    refused(saved(tmp_path / "a.pt", checkpoint()), words)


TENSORS: dict[str, Callable[[], Tensor]] = {
    "expanded": lambda: torch.zeros(1).expand(1 << 40),
    "meta": lambda: torch.zeros(1 << 40, device="meta"),
    "sparse": lambda: torch.sparse_coo_tensor(
        torch.tensor([[0]]), torch.ones(1), (1 << 40,), check_invariants=True
    ),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_no_memory_stands_behind(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / "a.pt", checkpoint() | {"weights": {"readout": TENSORS[kind]()}})
    refused(path, "holds a tensor")


def test_lists_that_hold_themselves(tmp_path: Path) -> None:
    twice: list[Any] = []
    for _ in range(30):
        twice = [twice, twice]  # 2^30 lists for whoever goes through them
    refused(saved(tmp_path / "a.pt", checkpoint() | {"curve": twice}), "too many values")
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    refused(saved(tmp_path / "a.pt", checkpoint() | {"curve": deep}), "too deep")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 100_000}, r"recurrences.0.out.weight is \(16, 8\), the sizes say \(100000, 8\)"),
        (
            {"memory": 100_000},
            r"recurrences.0.out.weight is \(16, 8\), the sizes say \(16, 100000\)",
        ),
        ({"blocks": 700_000}, "recurrences.2.out.weight"),
        ({"embedding": 10**5}, "conditioner.0.weight"),
        ({"patch_width": 10**5}, "patch_in.weight"),
        ({"maps": 10**5}, "readout"),
        ({"width": 10**9}, "whole numbers from 1 on"),
        ({"width": -1}, "whole numbers from 1 on"),
        ({"width": 16.0}, "whole numbers from 1 on"),
        ({"n_fft": 1 << 17}, "n_fft 131072 and hop 128 do not fit"),
        ({"n_fft": 1 << 16, "linear_bands": 30_000}, "bands are too many"),
        ({"band_growth": 0.0}, "bands grow by 0.0"),
        ({"band_growth": float("nan")}, "bands grow by nan"),
        ({"smoothing": [1.0] * 1000}, "smoothing is"),
        ({"smoothing": 3}, "object of type 'int' has no len"),
        ({"nonsense": 1}, "unexpected keyword"),
    ],
)
def test_sizes_that_the_weights_do_not_have(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    content = checkpoint()
    content["config"] |= changes
    refused(saved(tmp_path / "a.pt", content), words)


def test_a_list_of_faults_is_cut(tmp_path: Path) -> None:
    other = {f"net.{'x' * 300}{index}": torch.zeros(1) for index in range(100)}
    path = saved(tmp_path / "a.pt", other)
    assert len(read_file(path)) == 100
    refused(path, "no system|no checkpoint")
