"""The shipped bundle is the checkpoint in the repository, and plays what the network computes."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import soundfile
import torch

from soloist.export.precision import BLOCK
from soloist.export.solo_hop import SoloHop
from soloist.runtime.bundle import Bundle
from soloist.runtime.queries import conditioning_for
from soloist.runtime.session import Session
from soloist.separators.checkpoints import load_solo
from soloist.separators.listener import load_listener, spectrum
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

ROOT = Path(__file__).parents[2]


def test_its_weights_are_those_of_the_checkpoint_rounded() -> None:
    trained, bundle = load_solo(ROOT / "training/checkpoints/solo.pt"), Bundle.open("solo")
    weights = dict(SoloHop(trained.network).named_parameters())
    graph = onnx.load(bundle.path).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    assert sum(stored[node.input[0]].size for node in products) > 1_800_000
    for node in products:
        steps, scales = (stored[name].astype(float) for name in node.input)
        step = np.repeat(scales, BLOCK, axis=0)
        name = node.input[0].removesuffix(".int8").rpartition(".")[0]
        exact = weights[name].detach().numpy().T
        assert (np.abs(steps * step - exact) <= 0.5001 * step).all()
    floats = [name for name in stored if name in weights]
    assert len(floats) > 10
    for name in floats:
        np.testing.assert_array_equal(stored[name], weights[name].detach().numpy())


def test_onnxruntime_keeps_all_of_its_large_weights_in_int8(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # it warns that the file is for this machine only
    path = str(Bundle.open("solo").path)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    before = [node.op_type for node in onnx.load(path).graph.node]
    after = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert after.count("MatMulNBits") == before.count("DequantizeLinear") == 8
    assert "DequantizeLinear" not in after


@torch.no_grad()
def test_its_listener_hears_what_the_checkpoint_s_does() -> None:
    trained, bundle = load_listener(ROOT / "training/checkpoints/listener.pt"), Bundle.open("solo")
    assert bundle.listener is not None
    audio, rate = soundfile.read(ROOT / "app" / "assets" / "mixture.flac", dtype="float32")
    for start in (0, 2 * rate, 4 * rate):
        window = audio[start : start + bundle.listener.samples]
        magnitudes = spectrum(torch.from_numpy(window), rate).abs()
        expected = trained.network(magnitudes[None])[0].numpy()
        np.testing.assert_allclose(bundle.listener(window), expected, atol=1e-3)


@torch.no_grad()
def test_the_stream_follows_the_network_over_the_whole_file() -> None:
    trained, bundle = load_solo(ROOT / "training/checkpoints/solo.pt"), Bundle.open("solo")
    assert bundle.spec.checkpoint_sha256 == trained.sha256
    assets = ROOT / "app" / "assets"
    audio, rate = soundfile.read(assets / "mixture.flac", dtype="float32")
    query = json.loads((assets / "demo.json").read_text())["query"]
    words = conditioning_for(bundle, [query, "a dog barking"])

    network, front = trained.network, trained.network.config.frontend
    padded = torch.from_numpy(np.pad(audio, (0, 2 * front.hop)))
    spectrum = torch.view_as_real(front.analyse(padded))[None]
    stems, _ = network(spectrum, torch.from_numpy(words), network.initial_state(1))
    expected = front.synthesise(torch.view_as_complex(stems[0]))[:, : len(audio)].numpy()

    session = Session(bundle, device="cpu", conditioning=words)
    processor = Processor(session, outputs="stems")
    found = separate_array(processor, audio[:, None], rate, block_size=128)
    noise = np.square(found[:2, :, 0] - expected).sum(axis=1) / np.square(expected).sum(axis=1)
    assert (10 * np.log10(noise) < -35).all()
    np.testing.assert_allclose(found.sum(axis=0)[:, 0], audio, atol=1e-5)
