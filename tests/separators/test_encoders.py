"""Text encoders that need torch: clear words where they or their libraries are not there."""

import sys

import pytest

from soloist.separators.encoders import load_encoder


@pytest.mark.parametrize("name", ["word2vec", "open_clip/ViT-B-32", "open_clip/a/b/c"])
def test_an_unknown_encoder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name!r} is unknown; known beside .*: open_clip/"):
        load_encoder(name)


def test_a_missing_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match=r'pip install "soloist\[clip\]"'):
        load_encoder("open_clip/ViT-B-32/openai")
