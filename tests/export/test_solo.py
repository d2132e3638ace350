"""From a checkpoint to sound: the bundle says what the network says, hop by hop and in a stream."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soloist.export.solo import export_bundle
from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError, QueryError
from soloist.runtime.queries import conditioning_for
from soloist.runtime.session import Session
from soloist.separators.checkpoints import load_solo
from soloist.separators.solo import Solo, SoloConfig
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

CONFIG = SoloConfig(width=48, memory=32, blocks=2, patch_width=16, maps=24, embedding=12)
CLASSES = {"dog": ["a dog barking", "dog"], "rain": ["rain", "heavy rain"]}


class HashEncoder:
    """Unit vectors that depend on the letters; stands in for the 90 MB encoder."""

    name = "toy-encoder"
    dimension = CONFIG.embedding

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.random.default_rng(list(t.encode())).normal(size=12) for t in texts]
        table = np.stack(rows).astype(np.float32)
        unit: NDArray[np.float32] = table / np.linalg.norm(table, axis=1, keepdims=True)
        return unit


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soloist.export.solo.load_encoder", lambda name: HashEncoder())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    network = Solo(CONFIG)
    with torch.no_grad():  # masks that differ from 1/2 by more than parity would forgive
        network.readout.mul_(8)
    path = tmp_path_factory.mktemp("checkpoint") / "solo.pt"
    facts = {"vocabulary": CLASSES, "encoder": HashEncoder.name, "seed": 5}
    saved = {"config": CONFIG.to_dict(), "weights": network.state_dict(), "facts": facts}
    torch.save({**saved, "curve": [{"step": 1, "loss": 2.0}]}, path)
    return path


@pytest.fixture
def bundle(checkpoint: Path, tmp_path: Path) -> Bundle:
    export_bundle(checkpoint, ["a dog barking", "rain"], tmp_path / "solo.onnx", card="# Card")
    return Bundle.open(tmp_path / "solo.onnx")


def noise(samples: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(samples)
    swell = 0.3 * np.sin(np.arange(samples) * 1e-3) ** 2
    audio: NDArray[np.float32] = (swell * rng.standard_normal(samples)).astype(np.float32)
    return audio[:, None]


@torch.no_grad()
def whole_file(network: Solo, audio: NDArray[np.float32], words: torch.Tensor) -> torch.Tensor:
    """Every stem of the recording in one pass of torch, ``(queries, samples)``."""
    front = network.config.frontend
    padded = torch.from_numpy(np.pad(audio[:, 0], (0, 2 * front.hop)))
    spectrum = torch.view_as_real(front.analyse(padded))[None]
    stems, _ = network(spectrum, words, network.initial_state(1))
    return front.synthesise(torch.view_as_complex(stems[0]))[:, : len(audio)]


def test_a_bundle_of_nan_is_not_written(checkpoint: Path, tmp_path: Path) -> None:
    trained = torch.load(checkpoint)
    for tensor in trained["weights"].values():
        tensor.mul_(1e30)  # finite, and their products are not
    torch.save(trained, tmp_path / "solo.pt")
    with pytest.raises(BundleError, match="not finite"):
        export_bundle(tmp_path / "solo.pt", ["rain"], tmp_path / "solo.onnx")
    assert not (tmp_path / "solo.onnx").exists()


def test_parity_is_measured_and_stored(bundle: Bundle) -> None:
    assert bundle.spec.parity["max_abs"] <= 1e-4
    assert bundle.spec.parity["snr_db"] >= 90


def test_the_bundle_says_where_it_comes_from(bundle: Bundle, checkpoint: Path) -> None:
    spec = bundle.spec
    assert [query.name for query in spec.queries] == ["a dog barking", "rain"]
    assert spec.checkpoint_sha256 == load_solo(checkpoint).sha256
    assert spec.training["seed"] == 5
    assert spec.training["curve"] == [{"step": 1, "loss": 2.0}]
    assert bundle.card == "# Card"
    assert bundle.vocabulary is not None
    assert bundle.vocabulary.classes["rain"] == ("rain", "heavy rain")


@pytest.mark.parametrize("block", [128, 100, 4096])
def test_the_stream_equals_the_network_over_the_whole_file(
    bundle: Bundle, checkpoint: Path, block: int
) -> None:
    audio = noise(48_000)
    network = load_solo(checkpoint).network
    words = torch.from_numpy(conditioning_for(bundle, ["a dog barking", "rain"]))
    expected = whole_file(network, audio, words).numpy()
    session = Session(bundle, device="cpu")
    processor = Processor(session, outputs="stems")
    stems = separate_array(processor, audio, 48_000, block_size=block)
    np.testing.assert_allclose(stems[:2, :, 0], expected, atol=1e-4)
    np.testing.assert_allclose(stems.sum(axis=0), audio, atol=1e-5)


@torch.no_grad()
def test_what_is_not_wanted_is_taken_off_what_is(bundle: Bundle, checkpoint: Path) -> None:
    """The logits of each query less 0.3 of the negatives' mean; then all share, as ever."""
    network, vocabulary = load_solo(checkpoint).network, bundle.vocabulary
    assert vocabulary is not None
    named = ["a dog barking", "dog", "rain", "heavy rain"]  # two wanted, two not
    rows = [vocabulary.embeddings[vocabulary.phrases.index(words)] for words in named]
    plain = network.condition(torch.from_numpy(np.stack(rows)))
    asked = conditioning_for(bundle, named[:2], named[2:])
    session = Session(bundle, device="cpu", conditioning=asked)
    power = np.abs(np.random.default_rng(2).normal(size=session.spectrum.shape)).astype(np.float32)
    session.spectrum[:] = power
    session.step()
    bands = torch.from_numpy(power)[:, None].square().sum(-1) @ network.band_mean
    logits = network.logits(network.trunk(bands, network.initial_state(1))[0], plain)
    logits[:, :2] -= 0.3 * logits[:, 2:].mean(1, keepdim=True)
    residual = torch.zeros_like(logits[:, :1])
    masks = torch.softmax(torch.cat([logits, residual], 1), 1)[:, :4, 0]
    expected = masks[..., network.band_of_bin].numpy()[..., None] * power[:, None]
    np.testing.assert_allclose(session.stems, expected, atol=1e-4)


def test_words_and_defaults_are_the_same_thing(bundle: Bundle) -> None:
    baked = Session(bundle, device="cpu")
    asked = conditioning_for(bundle, ["a dog barking", "rain"])
    worded = Session(bundle, device="cpu", conditioning=asked)
    rng = np.random.default_rng(0)
    for _ in range(5):
        baked.spectrum[:] = worded.spectrum[:] = rng.normal(size=baked.spectrum.shape)
        baked.step()
        worded.step()
    np.testing.assert_allclose(worded.stems, baked.stems, atol=1e-5)


def test_nothing_is_left_where_it_fails(checkpoint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(BundleError, match=r"broken.pt is no checkpoint that torch can read"):
        export_bundle(broken, ["rain"], tmp_path / "out.onnx")
    with pytest.raises(QueryError, match="asked for more than once"):
        export_bundle(checkpoint, ["rain", "rain"], tmp_path / "out.onnx")
    with pytest.raises(BundleError, match="make it first"):
        export_bundle(checkpoint, ["rain"], tmp_path / "nowhere" / "out.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.pt"]


def test_a_name_as_long_as_the_system_allows(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / f"{'a' * 245}.onnx"
    export_bundle(checkpoint, ["rain"], output)
    assert Bundle.open(output).spec.queries[0].name == "rain"
