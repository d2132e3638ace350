"""RoBERTa's token numbers, by a made-up vocabulary of its size."""

import json
import sys
from pathlib import Path

import pytest

from soloist.separators.clap_tokens import Tokeniser

pytestmark = pytest.mark.filterwarnings("default")  # other people's, while libraries are imported

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = ["a", "b", "\u0120", "ab", "\u0120a"]  # the third is how it writes a space
SIZE = 50_265


def write(folder: Path, size: int) -> Path:
    pieces = [*SPECIAL, *PIECES]
    pieces += [f"filler{i}" for i in range(size - len(pieces) - 1)] + ["<mask>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n\u0120 a\n")
    return folder


def test_texts_begin_and_end_and_are_padded(tmp_path: Path) -> None:
    ids = Tokeniser(str(write(tmp_path, SIZE)))(["ab", "ab a"])
    assert ids.shape == (2, 77)
    assert ids[0].tolist() == [0, 7, 2] + [1] * 74
    assert ids[1].tolist() == [0, 7, 8, 2] + [1] * 73


def test_long_texts_are_cut(tmp_path: Path) -> None:
    ids = Tokeniser(str(write(tmp_path, SIZE)))(["a" * 200])
    assert ids[0].tolist() == [0] + [4] * 75 + [2]


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"it has 100 tokens, not 50265.* vocab.json and merges.txt"):
        Tokeniser(str(write(tmp_path, 100)))


def test_a_folder_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"vocabulary of roberta-base cannot be loaded from"):
        Tokeniser(str(tmp_path))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r'transformers.* pip install "soloist\[export\]"'):
        Tokeniser()
