"""What can be asked of CLAPSep and AudioSep, and what becomes of it; CLAP itself is a stand-in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soloist.export import clap_queries
from soloist.export.asked import Asked, Term
from soloist.export.audiosep import audiosep_model, audiosep_whole
from soloist.export.clap_queries import ClapQueries, read_sound
from soloist.export.clapsep import clapsep_model, clapsep_whole
from soloist.runtime.errors import BundleError, QueryError
from soloist.separators.audiosep import AudioSep
from soloist.separators.checkpoints import Checkpoint
from soloist.separators.clapsep import CLAPSEP_FRONT, CLAPSep

FILE = "music_audioset_epoch_15_esc_90.14.pt"


def row(text: str) -> NDArray[np.float32]:
    """A made-up embedding of length 1."""
    made = np.random.default_rng(len(text)).standard_normal(512)
    return (made / np.linalg.norm(made)).astype(np.float32)


class Stand:
    """CLAP without weights; `asked` is with what each one was opened."""

    asked: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, *arguments: Any) -> None:
        Stand.asked.append(arguments)
        if arguments[0] is not None and "separator" in str(arguments[0]):
            raise ValueError("no checkpoint of LAION-CLAP")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([row(text) for text in texts])

    def encode_sounds(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack([row("x" * (len(sound) // 4800)) for sound in sounds])


@pytest.fixture(autouse=True)
def stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clap_queries, "Clap", Stand)
    Stand.asked = []


class Asking(CLAPSep):
    """CLAPSep without weights, whose conditioning is the query."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.front = CLAPSEP_FRONT

    def condition(self, embedding: Tensor) -> Tensor:
        return embedding


class AskingAudioSep(AudioSep):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.front = CLAPSEP_FRONT

    def condition(self, embedding: Tensor) -> Tensor:
        return embedding


CLAPSEP = Checkpoint[nn.Module]("clapsep", Asking(), {}, "0" * 64)
AUDIOSEP = Checkpoint[nn.Module]("audiosep", AskingAudioSep(), {}, "0" * 64)


def unit(values: NDArray[Any]) -> NDArray[Any]:
    scaled: NDArray[Any] = values / np.linalg.norm(values)
    return scaled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "separator.ckpt"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    made = tmp_path / "viola.wav"
    soundfile.write(made, 0.1 * np.random.default_rng(0).standard_normal((4410, 2)), 44_100)
    return made


def test_positives_and_negatives_are_added_as_weighted_and_joined(path: Path, sound: Path) -> None:
    asked = Asked((f"violin + 0.5*sound:{sound} - speech", "drums"), negatives=("2*hum",))
    model = clapsep_model(CLAPSEP, path, asked)
    first, second = model.conditioning
    positive = row("violin") + 0.5 * row("x")
    negative = row("speech") + 2 * row("hum")
    np.testing.assert_allclose(first, unit(np.concatenate([positive, negative])), atol=1e-6)
    drums = unit(np.concatenate([row("drums"), 2 * row("hum")]))
    np.testing.assert_allclose(second, drums, atol=1e-6)
    query = model.queries[0]
    assert query.positive == ("violin", f"sound:{sound}")
    assert query.negative == ("speech", "hum")
    assert query.encoder == "laion-clap"


def test_either_half_may_be_missing(path: Path) -> None:
    (only,) = clapsep_model(CLAPSEP, path, Asked(("violin",))).conditioning
    np.testing.assert_allclose(only, np.concatenate([row("violin"), np.zeros(512)]), atol=1e-6)
    model = clapsep_model(CLAPSEP, path, Asked(negatives=("speech", "hum")))
    assert [query.name for query in model.queries] == ["not speech, hum"]
    assert model.queries[0].positive == ()
    expected = unit(np.concatenate([np.zeros(512), row("speech") + row("hum")]))
    np.testing.assert_allclose(model.conditioning[0], expected, atol=1e-6)


def test_embeddings_from_files(path: Path, tmp_path: Path) -> None:
    both = np.random.default_rng(1).standard_normal(1024)
    np.save(tmp_path / "both.npy", both)
    np.save(tmp_path / "one.npy", both[:512])
    files = {name: tmp_path / f"{name}.npy" for name in ("both", "one")}
    first, second = clapsep_model(CLAPSEP, path, Asked(embeddings=files)).conditioning
    np.testing.assert_allclose(first, unit(both), atol=1e-6)
    np.testing.assert_allclose(second, unit(np.concatenate([both[:512], np.zeros(512)])), atol=1e-6)
    assert not Stand.asked  # nobody needed CLAP
    (found,) = audiosep_model(AUDIOSEP, path, Asked(embeddings={"one": files["one"]})).conditioning
    np.testing.assert_allclose(found, unit(both[:512]), atol=1e-6)


def test_audiosep_is_asked_for_a_mean_of_length_one(path: Path) -> None:
    model = audiosep_model(AUDIOSEP, path, Asked(("violin + 3*cello - speech",)))
    mean = (row("violin") + 3 * row("cello")) / 4
    np.testing.assert_allclose(model.conditioning[0], unit(mean - row("speech")), atol=1e-6)
    assert model.queries[0].encoder == "laion-clap/music-speech"


def test_where_clap_comes_from(path: Path, tmp_path: Path) -> None:
    def opened(weights: str | None) -> tuple[Any, ...]:
        Stand.asked = []
        ClapQueries("laion-clap", path, weights).embed([Term("dog", 1.0, True)])
        return Stand.asked[-1]

    assert opened(None) == (None, None, "laion-clap")  # both from the hub
    (tmp_path / FILE).touch()
    assert opened(None) == (tmp_path / FILE, None, "laion-clap")
    assert opened(str(tmp_path / FILE)) == opened(None)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "vocab.json").touch()
    assert opened(str(folder)) == (tmp_path / FILE, str(folder), "laion-clap")
    (folder / FILE).touch()
    assert opened(str(folder)) == (folder / FILE, str(folder), "laion-clap")
    within = tmp_path / "elsewhere" / "deeper" / "whole.ckpt"
    within.parent.mkdir(parents=True)
    ClapQueries("laion-clap", within, None).embed([Term("dog", 1.0, True)])
    assert Stand.asked[-1][0] == within  # it holds CLAP, too


def test_sounds_are_read_as_clap_hears_them(tmp_path: Path, sound: Path) -> None:
    found = read_sound(sound)
    assert found.shape == (4800,)
    assert found.dtype == np.float32
    steps = found * 32_767
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    soundfile.write(tmp_path / "long.wav", np.full(12 * 16_000, 0.5), 16_000)
    assert len(read_sound(tmp_path / "long.wav")) == 480_000
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    with pytest.raises(QueryError, match=r"empty\.wav' is empty"):
        read_sound(tmp_path / "empty.wav")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (Asked(), "are not all words"),
        (Asked(("violin", "Violin")), "asked for more than once"),
        (Asked(("violin - image:a.png",)), "takes words and sounds, not the picture"),
        (Asked(("sound:nowhere.wav",)), "cannot read the sound 'nowhere.wav'"),
        (Asked(("violin",), weights="nowhere.pt"), "no weights of laion-clap in 'nowhere.pt'"),
        (Asked(("violin",), weights=str(Path(__file__).parent)), "or with the vocabulary of robe"),
        (Asked(("violin",), negatives=("0*hum",)), "has a part that says nothing"),
    ],
)
def test_what_cannot_be_asked(asked: Asked, complaint: str, path: Path) -> None:
    with pytest.raises(QueryError, match=complaint):
        clapsep_model(CLAPSEP, path, asked)


def test_zeros_ask_for_nothing(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.zeros(512))
    asked = Asked(embeddings={"none": tmp_path / "none.npy"})
    for model, checkpoint in [(clapsep_model, CLAPSEP), (audiosep_model, AUDIOSEP)]:
        with pytest.raises(QueryError, match="nothing but zeros"):
            model(checkpoint, path, asked)


def test_binary_masks_were_never_published(path: Path) -> None:
    for whole, checkpoint in [(clapsep_whole, CLAPSEP), (audiosep_whole, AUDIOSEP)]:
        with pytest.raises(BundleError, match="soft masks alone"):
            whole(checkpoint, path, Asked(("violin",)), 0.5)
        assert whole(checkpoint, path, Asked(("violin",)), None).names == ("violin",)


def test_whole_files(path: Path) -> None:
    class Half(Asking):
        def forward(self, spectrogram: Tensor, conditioning: Tensor, want: Any = None) -> Tensor:
            return torch.full((1, 1, *spectrogram.shape[1:3], 1), 0.5)

    checkpoint = Checkpoint[nn.Module]("clapsep", Half(), {}, "0" * 64)
    whole = clapsep_whole(checkpoint, path, Asked(("violin",)), None)
    audio = 0.1 * np.random.default_rng(0).standard_normal((40_000, 2)).astype(np.float32)
    stems = whole.separate(audio, linked=False)
    assert whole.sample_rate == 32_000
    np.testing.assert_allclose(stems, audio[None] / 2, atol=1e-5)
