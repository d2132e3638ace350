"""Vocabularies: stored and read back, found and ranked."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.errors import BundleError
from soloist.runtime.vocabulary import Vocabulary

PHRASES = ("dog", "Barking dog", "drum-kit", "piano")
EMBEDDINGS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 2], [0, -1, 0]], np.float32)
WORDS = Vocabulary("toy", PHRASES, EMBEDDINGS, {"dog": PHRASES[:2], "drums": ["drum-kit"]})


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=("C", "Z")), max_size=12), unique=True, max_size=8
    ),
    st.integers(1, 5),
)
def test_any_vocabulary_comes_back_from_its_json(phrases: list[str], dimension: int) -> None:
    embeddings = np.random.default_rng(0).standard_normal((len(phrases), dimension))
    classes = {"all": phrases, "none": []}
    back = Vocabulary.from_json(Vocabulary("toy", phrases, embeddings, classes).to_json())
    assert (back.encoder, back.phrases, back.dimension) == ("toy", tuple(phrases), dimension)
    assert back.classes == {"all": tuple(phrases), "none": ()}
    np.testing.assert_array_equal(back.embeddings, embeddings.astype(np.float16))
    assert back.embeddings.dtype == np.float32


@pytest.mark.parametrize("words", ["barking dog", " BARKING  dog!", "Barking_dog", "barking-dog"])
def test_find_is_blind_to_case_space_and_punctuation(words: str) -> None:
    assert WORDS.find(words) == 1


@pytest.mark.parametrize("words", ["", "...", "barkingdog", "dogs"])
def test_find_is_exact_otherwise(words: str) -> None:
    assert WORDS.find(words) is None


def test_nearest_of_an_embedding_is_by_cosine() -> None:
    nearest = WORDS.nearest(np.array([2.0, 0.0, 0.0]), 3)
    assert [phrase for phrase, _ in nearest] == ["dog", "Barking dog", "drum-kit"]
    np.testing.assert_allclose([score for _, score in nearest], [1.0, 0.8, 0.0], atol=1e-6)


def test_nearest_of_known_words_is_by_meaning() -> None:
    assert WORDS.nearest("DOG", 2) == WORDS.nearest(EMBEDDINGS[0], 2)


def test_nearest_of_unknown_words_is_by_spelling() -> None:
    (phrase, score), *_ = WORDS.nearest("drumkit")
    assert phrase == "drum-kit"
    assert 0.9 < score < 1


def test_nearest_gives_all_if_asked_for_more() -> None:
    assert len(WORDS.nearest("dog", 99)) == 4
    assert Vocabulary("toy", [], np.zeros((0, 3)), {}).nearest("dog") == []


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BundleError, match=r"1 phrases have embeddings of shape \(4, 3\)"):
        Vocabulary("toy", ["dog"], EMBEDDINGS, {})
    with pytest.raises(BundleError, match="'cat' has no embedding"):
        Vocabulary("toy", PHRASES, EMBEDDINGS, {"pets": ["dog", "cat"]})


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("encoder", None, "encoder: found None, expected text"),
        ("classes", [], "classes: found"),
        ("classes", {"dog": "dog"}, "classes.dog: found 'dog', expected a list"),
        ("phrases", "dog", "phrases: found"),
        ("dimension", 4, "24 bytes of embeddings, expected 4 rows of 4"),
        ("dimension", -1, "expected 4 rows of -1"),
        ("embeddings", "?", "not base64"),
        ("embeddings", base64.b64encode(b"odd").decode(), "3 bytes of embeddings"),
        ("embeddings", base64.b64encode(b"\xff" * 24).decode(), "not finite"),
    ],
)
def test_broken_json_is_named(key: str, value: object, complaint: str) -> None:
    record = json.loads(WORDS.to_json()) | {key: value}
    with pytest.raises(BundleError, match=complaint):
        Vocabulary.from_json(json.dumps(record))


@pytest.mark.parametrize("phrase", ["a\x1b[2J", "two\nlines", "a" * 201])
def test_phrases_that_are_none(phrase: str) -> None:
    for encoder, phrases, classes in (
        ("toy", [phrase], {}),
        ("toy", ["dog"], {phrase: ["dog"]}),
        (phrase, ["dog"], {}),
    ):
        with pytest.raises(BundleError, match="is no phrase; expected up to 200 letters"):
            Vocabulary(encoder, phrases, np.ones((1, 2)), classes)


@pytest.mark.parametrize(
    ("typed", "phrases"),
    [
        ("d", ["dog", "drum-kit"]),  # and no other phrase for a dog
        ("DO", ["dog"]),
        ("b", ["Barking dog"]),
        ("barking  d", ["Barking dog"]),
        ("barking ", ["Barking dog"]),
        ("drum ", ["drum-kit"]),
        ("do ", []),
        ("kit", ["drum-kit"]),
        ("og", []),
        ("p", ["piano"]),  # which is of no class
        (" ?", []),
    ],
)
def test_completions_begin_a_word(typed: str, phrases: list[str]) -> None:
    """Those that it begins come first."""
    assert WORDS.completions(typed) == phrases
    assert WORDS.completions(typed, 1) == phrases[:1]
