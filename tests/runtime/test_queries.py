"""Words to conditioning: known ones from the bundle, new ones by an encoder, the rest refused."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import QueryError
from soloist.runtime.queries import conditioning_for, open_encoder

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
    found = conditioning_for(toy.bundle, ["a cat", "dog", "trains"], load=lambda _: encoder)
    assert set(encoder.asked) == {"a cat", "trains"}
    expected = toy.bundle.conditioner(np.eye(1, 6, dtype=np.float32))[0]
    np.testing.assert_array_equal(found[[0, 2]], np.stack([expected] * 2))
    np.testing.assert_allclose(found[1], toy.conditioning[0], rtol=1e-5)


def test_unknown_words_without_an_encoder_name_the_nearest(toy_bundle: Toys) -> None:
    with pytest.raises(QueryError, match=r"'barkin dogs' is not .*nearest: barking dog, .*toy-enc"):
        conditioning_for(toy_bundle().bundle, ["dog", "barkin dogs"])


@pytest.mark.parametrize("fault", [ImportError, OSError, ValueError])
def test_why_an_encoder_cannot_be_had_is_said(toy_bundle: Toys, fault: type[Exception]) -> None:
    def load(name: str) -> ConstantEncoder:
        raise fault(f"no {name} here")

    with pytest.raises(QueryError, match=r"'a cat' is not .*nearest: .*no toy-encoder here"):
        conditioning_for(toy_bundle().bundle, ["a cat"], load=load)


def test_another_encoder_than_the_trained_one_is_refused(toy_bundle: Toys) -> None:
    with pytest.raises(QueryError, match="'toy-encoder' is needed, 'other' was loaded"):
        conditioning_for(toy_bundle().bundle, ["a cat"], load=lambda _: ConstantEncoder("other"))


def test_an_encoder_of_another_size_is_refused(toy_bundle: Toys) -> None:
    encoder = ConstantEncoder()
    encoder.dimension = 7
    with pytest.raises(QueryError, match=r"takes embeddings of 6 numbers, its .* makes 7"):
        conditioning_for(toy_bundle().bundle, ["a cat"], load=lambda _: encoder)


def test_any_words_at_once_with_the_encoder_that_ships() -> None:
    solo = Bundle.open("solo")
    assert solo.vocabulary is not None and solo.vocabulary.find("a kettle that whistles") is None
    found = conditioning_for(solo, ["a kettle that whistles", "a dog barking"])
    embedding = open_encoder(solo.encoder).encode(["a kettle that whistles"])
    assert solo.conditioner is not None
    np.testing.assert_allclose(found[:1], solo.conditioner(embedding), rtol=1e-5, atol=1e-6)


def test_a_loader_is_not_asked_for_what_ships() -> None:
    def load(name: str) -> ConstantEncoder:
        raise AssertionError(name)

    assert open_encoder("all-MiniLM-L6-v2", load).dimension == 384
    with pytest.raises(QueryError, match=r"'toy-encoder' does not ship .*: all-MiniLM"):
        open_encoder("toy-encoder")


def test_negatives_are_the_last_rows(toy_bundle: Toys) -> None:
    toy = toy_bundle(queries=3)
    found = conditioning_for(toy.bundle, ["piano"], negatives=["dog", "rain"])
    np.testing.assert_allclose(found, toy.conditioning[[2, 0, 1]], rtol=1e-5)


def test_a_share_of_what_is_not_wanted_is_taken_off_each_query(toy_bundle: Toys) -> None:
    toy = toy_bundle(queries=3, opposition=0.25)
    dog, rain, piano = toy.conditioning
    found = conditioning_for(toy.bundle, ["piano"], negatives=["dog", "rain"])
    expected = np.stack([piano - 0.125 * dog - 0.125 * rain, dog, rain])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    alone = conditioning_for(toy.bundle, ["piano", "dog"])
    np.testing.assert_allclose(alone, np.stack([piano, dog]), rtol=1e-5)


@pytest.mark.parametrize("words", [[], [""], ["dog", " \t"]])
def test_empty_words_are_refused(toy_bundle: Toys, words: list[str]) -> None:
    with pytest.raises(QueryError, match="name a sound"):
        conditioning_for(toy_bundle().bundle, words)
    with pytest.raises(QueryError, match="name a sound"):
        conditioning_for(toy_bundle().bundle, ["rain"] if words else [], words or ["dog"])


@pytest.mark.parametrize("words", [["dog", "dog"], ["rain", "a cat", " A  cat! "]])
def test_the_same_words_twice_are_refused(toy_bundle: Toys, words: list[str]) -> None:
    with pytest.raises(QueryError, match="is asked for more than once"):
        conditioning_for(toy_bundle().bundle, words)
    with pytest.raises(QueryError, match="is asked for more than once"):
        conditioning_for(toy_bundle().bundle, ["piano"], words)


def test_words_both_wanted_and_not_are_refused(toy_bundle: Toys) -> None:
    with pytest.raises(QueryError, match="'A dog!' is both asked for and not wanted"):
        conditioning_for(toy_bundle().bundle, ["rain", "A dog!"], ["a  dog"])


def test_a_bundle_that_takes_no_new_words(toy_bundle: Toys, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(toy_bundle().path)
    onnx.helper.set_model_props(model, {"soloist": toy_bundle().spec.to_json()})
    onnx.save(model, tmp_path / "baked.onnx")
    with pytest.raises(QueryError, match=r"baked.onnx takes no words but .*\(dog\)"):
        conditioning_for(Bundle.open(tmp_path / "baked.onnx"), ["dog"])
