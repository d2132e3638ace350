"""Text encoders that need torch: clear words where they or their libraries are not there."""

import sys
from pathlib import Path

import numpy as np
import pytest

from soloist.separators.clip_encoder import ClipEncoder
from soloist.separators.encoders import load_encoder
from soloist.separators.prompts import prompts


@pytest.mark.parametrize("name", ["word2vec", "open_clip/ViT-B-32", "open_clip/a/b/c"])
def test_an_unknown_encoder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name!r} is unknown; known beside .*: open_clip/"):
        load_encoder(name)


def test_a_missing_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match=r'pip install "soloist\[clip\]"'):
        load_encoder("open_clip/ViT-B-32/openai")


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("clip/photo", "open_clip", "clip"), ("bert-mini", "transformers", "export")],
)
def test_encoders_of_published_systems_say_what_they_lack(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'encoder {name} .*pip install "soloist\[{extra}\]"'):
        load_encoder(name)


def test_prompts_are_known_by_name() -> None:
    with pytest.raises(ValueError, match="no prompts 'poem'; known: photo, plain, ensemble"):
        load_encoder("clip/poem")
    assert prompts("a dog", "photo") == ["a photo of a dog"]
    assert prompts("{dog}", "plain") == ["{dog}"]
    assert len(prompts("a dog", "ensemble")) == 5


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(OSError, match=r"weights of encoder bert-mini cannot be .*nowhere"):
        load_encoder("bert-mini", str(tmp_path / "nowhere"))


@pytest.mark.filterwarnings("default")  # other people's, while their libraries are imported
def test_bert_takes_the_mean_over_the_states(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "a", "bark", "##ing"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=len(words), intermediate_size=64, **sizes)
    network = transformers.BertModel(config).eval()
    network.save_pretrained(tmp_path)
    encoder = load_encoder("bert-mini", str(tmp_path))
    assert (encoder.name, encoder.dimension) == ("bert-mini", 32)
    ids = torch.tensor([[2, 6, 5, 7, 8, 3]])
    with torch.no_grad():
        expected = network(ids).last_hidden_state.mean(1).numpy()
    np.testing.assert_allclose(encoder.encode(["a dog barking"]), expected, atol=1e-5)
    both = encoder.encode(["dog", "a dog barking"])  # padding would change the mean
    np.testing.assert_allclose(both[1:], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_clip_is_asked_by_prompts_and_pictures_at_its_own_length(tmp_path: Path) -> None:
    """With random weights: the real ones come from a hub."""
    try:
        import open_clip  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"open_clip cannot be imported ({error})")
    from PIL import Image

    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    encoder = ClipEncoder("ensemble", "")
    (dog,) = encoder.encode(["dog"])
    encoder._ensemble = "plain"
    expected = encoder.encode(prompts("dog", "ensemble")).mean(axis=0)
    np.testing.assert_allclose(dog, expected, atol=1e-5)
    assert abs(np.linalg.norm(dog) - 1) > 0.5
    Image.new("RGB", (300, 200), (200, 10, 10)).save(tmp_path / "red.png")
    assert encoder.encode_images([tmp_path / "red.png"]).shape == (1, 512)
    with pytest.raises(ValueError, match="longer than the 75 tokens"):
        encoder.encode(["dog " * 80])
