"""Windowed bundles of CLAPSep and AudioSep say what the networks say, in floats and in int8."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from soloist.export.asked import Asked
from soloist.export.audiosep import audiosep_model
from soloist.export.clapsep import clapsep_model
from soloist.export.graph import fold
from soloist.export.window_precision import to_int8_products
from soloist.export.windowed import WindowedModel, Windows, export_windowed
from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError
from soloist.runtime.ort import open_cpu
from soloist.runtime.spec import Precision
from soloist.separators import htsat
from soloist.separators.audiosep import AUDIOSEP_FRONT, AudioSep
from soloist.separators.checkpoints import Checkpoint
from soloist.separators.clapsep import CLAPSep, Sizes
from soloist.separators.columns import Span
from soloist.separators.spectrogram import Spectrogram

WINDOWS = Windows(advance=6, crossfade=2, lookahead=3, seconds=0.33)


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("queries")
    files = {name: folder / f"{name}.npy" for name in ("violin", "speech")}
    for seed, file in enumerate(files.values()):
        np.save(file, np.random.default_rng(seed).standard_normal(512))
    return Asked(embeddings=files)


def lively(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.get_buffer("running_var").uniform_(0.5, 1.5, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def clapsep(embedding: Asked) -> WindowedModel:
    """With few blocks; all else as published."""
    torch.manual_seed(0)
    network = lively(CLAPSep(sizes=Sizes(htsat.Sizes(depths=(2, 2, 1, 1)))))
    nn.init.constant_(network.get_submodule("audio_branch.bn0").get_buffer("running_mean"), -40.0)
    nn.init.constant_(network.get_submodule("audio_branch.bn0").get_buffer("running_var"), 300.0)
    checkpoint = Checkpoint[nn.Module]("clapsep", network, {}, "0" * 64)
    return clapsep_model(checkpoint, Path("x.ckpt"), embedding)


@pytest.fixture(scope="module")
def audiosep(embedding: Asked) -> WindowedModel:
    """Of few bins; all else as published."""
    torch.manual_seed(0)
    network = lively(AudioSep(replace(AUDIOSEP_FRONT, n_fft=256, hop=64)))
    checkpoint = Checkpoint[nn.Module]("audiosep", network, {}, "0" * 64)
    return audiosep_model(checkpoint, Path("x.ckpt"), embedding)


def sound(model: WindowedModel, samples: int) -> torch.Tensor:
    audio = 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(2))
    return torch.view_as_real(replace(model.front, clip=samples).analyse(audio))


@pytest.mark.slow
def test_clapsep(clapsep: WindowedModel, tmp_path: Path) -> None:
    path = tmp_path / "out.onnx"
    spec = export_windowed(clapsep, path, replace(WINDOWS, room=5), name="mine")
    assert spec.parity["max_abs"] <= 1e-4
    assert spec.parity["snr_db"] >= 90
    assert (spec.window_samples, spec.window_frames) == (10_560, 34)
    assert (spec.emitted_frames, spec.lookahead_frames) == (13, 3)
    assert spec.schedule(advance=9, lookahead=5).advance == 9
    graph = onnx.load(path)
    assert {node.domain for node in graph.graph.node} == {""}
    spectrogram = sound(clapsep, 10_560)
    shorter: Any = clapsep.resized
    with torch.no_grad():
        queries = torch.from_numpy(clapsep.conditioning)
        whole = shorter(10_560).network(spectrogram, queries).numpy()
    session = open_cpu(path)
    (masks,) = session.run(["masks"], {"spectrogram": spectrogram.numpy()})
    assert masks.shape == (1, 2, 513, 13, 1)
    np.testing.assert_allclose(masks, whole[:, :, :, 18:31], atol=1e-4)
    assert np.abs(masks[0, 0] - masks[0, 1]).max() > 1e-3
    other = {"spectrogram": spectrogram.numpy(), "conditioning": clapsep.conditioning[[1, 0, 1]]}
    (others,) = session.run(["masks"], other)
    np.testing.assert_allclose(others[0], masks[0, [1, 0, 1]], atol=1e-5)

    rounded = to_int8_products(graph)
    assert rounded.ByteSize() < 0.35 * graph.ByteSize()
    given = {"spectrogram": spectrogram.numpy()}
    (found,) = open_cpu(rounded.SerializeToString()).run(["masks"], given)
    np.testing.assert_allclose(found, masks, atol=0.1)
    assert np.abs(found - masks).max() > 1e-5


class Mixing(nn.Module):
    """Masks by one large matrix over frequency."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(64, 64)

    def forward(self, spectrogram: torch.Tensor, conditioning: torch.Tensor) -> torch.Tensor:
        heard = spectrogram.square().sum(-1)[:, None].transpose(2, 3)
        masks = torch.sigmoid(self.mix(heard + conditioning[:, None, :1])).transpose(2, 3)
        return masks[..., None]


def test_a_bundle_says_what_its_products_are_of(audiosep: WindowedModel, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Mixing()
    model = replace(
        audiosep,
        network=network,
        live=lambda want: Cut(network, want),
        front=Spectrogram(8000, 126, 63, 630, "reflect"),
        int8=True,
    )
    snr = {}
    for precision in get_args(Precision):
        path = tmp_path / f"{precision}.onnx"
        spec = export_windowed(
            model, path, Windows(advance=4, crossfade=1), name="x", precision=precision
        )
        assert spec.precision == Bundle.open(path).spec.precision == precision
        snr[precision] = spec.parity["snr_db"]
    assert snr["fp32"] > 90 > snr["int8"] > 20


class Cut(nn.Module):
    def __init__(self, network: nn.Module, want: Span) -> None:
        super().__init__()
        self.network, self.want = network, want

    def forward(self, spectrogram: torch.Tensor, conditioning: torch.Tensor) -> torch.Tensor:
        masks: torch.Tensor = self.network(spectrogram, conditioning)
        return masks[:, :, :, self.want.start : self.want.stop]


@pytest.mark.slow
def test_audiosep(audiosep: WindowedModel, tmp_path: Path) -> None:
    path = tmp_path / "out.onnx"
    spec = export_windowed(audiosep, path, replace(WINDOWS, seconds=0.1), name="mine")
    assert spec.parity["max_abs"] <= 1e-4
    assert spec.parity["snr_db"] >= 90
    assert (spec.window_frames, spec.emitted_frames, spec.precision) == (51, 8, "fp32")
    spectrogram = sound(audiosep, 3200)
    with torch.no_grad():
        queries = torch.from_numpy(audiosep.conditioning)
        whole = audiosep.network(spectrogram, queries).numpy()
    (masks,) = open_cpu(path).run(["masks"], {"spectrogram": spectrogram.numpy()})
    assert masks.shape == (1, 2, 129, 8, 2)
    np.testing.assert_allclose(masks, whole[:, :, :, 40:48], atol=1e-4)
    with pytest.raises(BundleError, match="audiosep is exported in fp32 only, not in int8"):
        export_windowed(audiosep, path, WINDOWS, name="mine", precision="int8")


def test_windows_that_cannot_be(audiosep: WindowedModel, tmp_path: Path) -> None:
    path = tmp_path / "out.onnx"
    with pytest.raises(BundleError, match=r"0\.01 s is too short; audiosep takes 0\.016 s or more"):
        export_windowed(audiosep, path, Windows(seconds=0.01), name="mine")
    fixed = replace(audiosep, resized=None)
    with pytest.raises(BundleError, match="are as long as in training"):
        export_windowed(fixed, path, Windows(seconds=1.0), name="mine")
    assert not path.exists()


def product(rows: int, columns: int) -> tuple[onnx.ModelProto, np.ndarray[Any, Any]]:
    """A graph that multiplies by 2 w, of which the doubling depends on no input."""
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    constants = [
        onnx.numpy_helper.from_array(weight, "weight"),
        onnx.numpy_helper.from_array(np.array(2, np.float32), "two"),
    ]
    nodes = [
        make.make_node("Mul", ["weight", "two"], ["double"], "doubling"),
        make.make_node("MatMul", ["x", "double"], ["y"], "product"),
    ]
    infos = [make.make_tensor_value_info("x", kind, [7, rows])]
    infos += [make.make_tensor_value_info("y", kind, [7, columns])]
    graph = make.make_graph(nodes, "g", infos[:1], infos[1:], constants)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10), weight


def test_what_depends_on_no_input_is_folded_and_rounded() -> None:
    model, weight = product(64, 96)
    folded = fold(model)
    assert [node.op_type for node in folded.graph.node] == ["MatMul"]
    rounded = to_int8_products(folded)
    assert "MatMulInteger" in {node.op_type for node in rounded.graph.node}
    assert [each.domain for each in rounded.opset_import] == [""]
    x = np.random.default_rng(1).standard_normal((7, 64)).astype(np.float32)
    (found,) = open_cpu(rounded.SerializeToString()).run(None, {"x": x})
    expected = x @ (2 * weight)
    error = np.square(found - expected).sum() / np.square(expected).sum()
    assert 1e-6 < error < 1e-3  # of the order of 8 bits, and not of none


def test_matrices_at_the_ends_stay_as_they_are() -> None:
    for sides in [(63, 96), (64, 95)]:
        rounded = to_int8_products(fold(product(*sides)[0]))
        assert [node.op_type for node in rounded.graph.node] == ["MatMul"]
