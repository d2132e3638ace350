"""From published checkpoints to windowed bundles that say what the networks say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from soloist.export.asked import Asked
from soloist.export.graph import check_operators
from soloist.export.systems import export_system, open_whole
from soloist.export.windowed import Windows
from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError, QueryError
from soloist.runtime.ort import open_cpu
from soloist.runtime.queries import conditioning_for
from soloist.separators.bertsep import BERTSep
from soloist.separators.checkpoints import load
from soloist.separators.clipsep import CLIPSep, CLIPSepNIT
from soloist.separators.early_fusion import EarlyFusion
from soloist.separators.labelsep import LabelSep
from soloist.separators.log_picture import Geometry
from soloist.separators.middle_fusion import MiddleFusion
from soloist.separators.pit import PIT

SMALL = Geometry(maps=6, levels=5)
ARGUMENTS = {"n_fft": 256, "hop_len": 64, "audio_len": 4095, "train_mode": "text", "out_dir": "/x"}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "clipsep": lambda: CLIPSep(SMALL),
    "clipsep-nit": lambda: CLIPSepNIT(SMALL),
    "clipsep-early": lambda: EarlyFusion(SMALL),
    "clipsep-middle": lambda: MiddleFusion(SMALL),
    "bertsep": lambda: BERTSep(SMALL),
    "labelsep": lambda: LabelSep(SMALL, 5),
    "pit": lambda: PIT(SMALL),
}


def lively(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.get_buffer("running_mean"), -0.1, 0.1)
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
    nn.init.constant_(network.get_submodule("sound_net.bn0").get_buffer("running_var"), 4.0)
    return network


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[[str], Path]:
    """`run_folder(system)` writes a run as training leaves it; the checkpoint's path."""

    def write(system: str) -> Path:
        torch.manual_seed(len(system))
        path = tmp_path / "run" / "checkpoints" / "best_model.pt"
        path.parent.mkdir(parents=True)
        state = lively(NETWORKS[system]()).state_dict()
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
        (tmp_path / "run" / "train-args.json").write_text(json.dumps(ARGUMENTS))
        return path

    return write


@pytest.fixture
def embeddings(tmp_path: Path) -> Callable[[int], dict[str, Path]]:
    """`embeddings(size)` writes two of that size; their files by name."""

    def write(size: int) -> dict[str, Path]:
        files = {name: tmp_path / f"{name}.npy" for name in ("violin", "speech")}
        for seed, file in enumerate(files.values()):
            np.save(file, 0.45 * np.random.default_rng(seed).standard_normal(size))
        return files

    return write


def asked_of(system: str, embeddings: Callable[[int], dict[str, Path]]) -> Asked:
    if system == "pit":
        return Asked()
    if system == "labelsep":
        return Asked(("3", "0"))
    return Asked(embeddings=embeddings(256 if system == "bertsep" else 512))


WINDOWS = Windows(advance=4, crossfade=2, lookahead=1)


@pytest.mark.slow
@pytest.mark.parametrize("system", NETWORKS)
def test_a_bundle_says_what_the_network_says(
    system: str, run_folder: Any, embeddings: Any, tmp_path: Path
) -> None:
    path, output = run_folder(system), tmp_path / "out.onnx"
    spec = export_system(system, path, asked_of(system, embeddings), output, WINDOWS)
    assert spec.parity["max_abs"] <= 1e-4
    assert spec.parity["snr_db"] >= 90
    assert (spec.architecture, spec.name, spec.kind) == (system, system, "windowed")
    assert (spec.window_samples, spec.window_frames, spec.emitted_frames) == (4095, 64, 6)
    assert spec.training == {k: v for k, v in ARGUMENTS.items() if k != "out_dir"}

    bundle, network = Bundle.open(output), load(path).network
    model = onnx.load(output)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"GridSample", "DFT", "STFT", "ScatterND", "Loop", "If"}
    assert {node.domain for node in model.graph.node} <= {""}

    baked = np.array(onnx.numpy_helper.to_array(_initializer(model, "conditioning")))
    spectrogram = np.random.default_rng(3).standard_normal((2, 129, 64, 2)).astype(np.float32)
    (masks,) = open_cpu(output).run(["masks"], {"spectrogram": spectrogram})
    with torch.no_grad():
        whole = network(torch.from_numpy(spectrogram), torch.from_numpy(baked)).numpy()
    assert masks.shape == (2, len(spec.queries), 129, 6, 1)
    assert np.abs(masks - whole[:, :, :, 57:63]).max() <= 1e-4
    other = {"spectrogram": spectrogram[1:], "conditioning": baked[[1, 0, 1]]}
    (others,) = open_cpu(output).run(["masks"], other)
    np.testing.assert_allclose(others[0], masks[1, [1, 0, 1]], atol=1e-5)
    assert masks.std() > 0.02
    assert bundle.conditioning_size == baked.shape[1]


def _initializer(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def test_words_can_change_without_the_checkpoint(
    run_folder: Any, embeddings: Any, tmp_path: Path
) -> None:
    path, output = run_folder("clipsep"), tmp_path / "out.onnx"
    files = embeddings(512)
    export_system("clipsep", path, Asked(embeddings=files), output, WINDOWS, name="strings")
    bundle = Bundle.open(output)
    assert bundle.spec.name == "strings"
    assert bundle.encoder == "clip/photo"
    network: Any = load(path).network
    rows = torch.from_numpy(np.stack([np.load(file) for file in files.values()])).float()
    # stored with half the digits, in the vocabulary
    np.testing.assert_allclose(
        conditioning_for(bundle, ["Violin", "speech"]),
        network.condition(rows).detach(),
        atol=2e-3,
    )
    with pytest.raises(QueryError, match=r"'cello' is not a word .* \(nearest: "):
        conditioning_for(bundle, ["cello"])


def test_labels_have_names_where_their_map_lies_there(run_folder: Any, tmp_path: Path) -> None:
    path, output = run_folder("labelsep"), tmp_path / "out.onnx"
    with pytest.raises(QueryError, match="'violin' is none of the 5 labels"):
        export_system("labelsep", path, Asked(("violin",)), output, WINDOWS)
    (path.parent / "label_map.json").write_text('{"violin": 4, "dog bark": 1}')
    export_system("labelsep", path, Asked(("dog bark",)), output, WINDOWS)
    bundle, network = Bundle.open(output), load(path).network
    assert isinstance(network, LabelSep)
    rows = network.label_net.weight[[4, 0]]
    found = conditioning_for(bundle, ["violin", "0"])
    np.testing.assert_allclose(found, network.condition(rows).detach(), atol=2e-3)
    (path.parent / "label_map.json").write_text('{"violin": 9}')
    with pytest.raises(QueryError, match="a label has the number 9, of 5"):
        export_system("labelsep", path, Asked(("violin",)), output, WINDOWS)


def test_bertsep_takes_the_embeddings_that_training_read(run_folder: Any) -> None:
    path = run_folder("bertsep")
    table = {"violin": torch.randn(1, 256), "dog bark": torch.randn(1, 256)}
    torch.save(table, path.parent / "bert_embeddings.pt")
    whole = open_whole(path, Asked(("Dog bark",)), None)
    assert (whole.names, whole.sample_rate) == (("Dog bark",), 16_000)
    with pytest.raises(QueryError, match=r"'cello' is none of the 2 labels"):
        open_whole(path, Asked(("cello",)), None)
    torch.save(
        {"violin": torch.randn(256), "dog": torch.randn(2)}, path.parent / "bert_embeddings.pt"
    )
    with pytest.raises(QueryError, match="holds no embeddings of labels"):
        open_whole(path, Asked(("violin",)), None)


@pytest.mark.parametrize(
    ("system", "asked", "complaint"),
    [
        ("clipsep", Asked(), "are not all words"),
        ("clipsep", Asked(("violin", "Violin")), "asked for more than once"),
        ("clipsep", Asked(("violin - ",)), "has a part that says nothing"),
        ("clipsep", Asked(("file:nowhere.npy",)), "cannot read the embedding 'nowhere.npy'"),
        ("bertsep", Asked(("image:violin.png",)), "takes words, not the picture 'violin.png'"),
        ("labelsep", Asked(("7",)), "'7' is none of the 5 labels"),
        ("labelsep", Asked(("image:a.png",)), "takes labels, not the picture"),
        ("pit", Asked(("violin",)), "nobody can name"),
        ("solo", Asked(embeddings={"violin": Path("violin.npy")}), "in words"),
    ],
)
def test_what_cannot_be_asked(
    system: str, asked: Asked, complaint: str, run_folder: Any, tmp_path: Path
) -> None:
    path = run_folder("clipsep" if system == "solo" else system)
    with pytest.raises(QueryError, match=complaint):
        export_system(system, path, asked, tmp_path / "out.onnx", WINDOWS)


def test_embeddings_that_do_not_fit(run_folder: Any, embeddings: Any, tmp_path: Path) -> None:
    path = run_folder("clipsep")
    with pytest.raises(QueryError, match=r"holds \(256,\); this system takes 512 numbers"):
        export_system("clipsep", path, Asked(embeddings=embeddings(256)), tmp_path / "o", WINDOWS)
    np.save(tmp_path / "odd.npy", np.full(512, np.nan))
    asked = Asked(embeddings={"odd": tmp_path / "odd.npy"})
    with pytest.raises(QueryError, match="not finite"):
        export_system("clipsep", path, asked, tmp_path / "o", WINDOWS)
    np.save(tmp_path / "odd.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(QueryError, match="cannot read the embedding"):
        export_system("clipsep", path, asked, tmp_path / "o", WINDOWS)


def test_what_cannot_be_exported(run_folder: Any, embeddings: Any, tmp_path: Path) -> None:
    path, asked = run_folder("clipsep"), Asked(embeddings=embeddings(512))
    with pytest.raises(BundleError, match=r"use: soloist export clipsep$"):
        export_system("bertsep", path, asked, tmp_path / "o", WINDOWS)
    with pytest.raises(BundleError, match="no system 'demucs'; known: solo, labelsep"):
        export_system("demucs", path, asked, tmp_path / "o", WINDOWS)
    with pytest.raises(BundleError, match="emitted_frames 70"):
        export_system("clipsep", path, asked, tmp_path / "o", Windows(advance=66))
    with pytest.raises(BundleError, match="look-ahead of 3 frames cannot be baked"):
        Windows(lookahead=3, whole=True)
    assert not (tmp_path / "o").exists()


def test_a_whole_bundle_gives_every_frame(run_folder: Any, embeddings: Any, tmp_path: Path) -> None:
    path, asked = run_folder("clipsep"), Asked(embeddings=embeddings(512))
    whole = Windows(advance=8, crossfade=2, whole=True)
    spec = export_system("clipsep", path, asked, tmp_path / "out.onnx", whole, card="# Card")
    assert (spec.emitted_frames, spec.lookahead_frames) == (64, 0)
    assert spec.schedule(advance=20, lookahead=30).advance == 20
    assert Bundle.open(tmp_path / "out.onnx").card == "# Card"


def test_operators_that_a_bundle_may_not_have() -> None:
    make = onnx.helper
    for node in (
        make.make_node("GridSample", ["x", "y"], ["z"]),
        make.make_node("FusedConv", ["x"], ["z"], domain="com.microsoft"),
    ):
        graph = make.make_graph([node], "g", [], [])
        with pytest.raises(BundleError, match=node.op_type):
            check_operators(make.make_model(graph))
    values = [make.make_tensor_value_info("z", onnx.TensorProto.COMPLEX64, [1])]
    with pytest.raises(BundleError, match=r"complex numbers \(z\)"):
        check_operators(make.make_model(make.make_graph([], "g", [], values)))
