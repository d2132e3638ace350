"""From a bi-modal checkpoint to a windowed bundle that says what the network says."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from soloist.export.asked import Asked
from soloist.export.bimodal import bimodal_model
from soloist.export.systems import export_system, open_whole
from soloist.export.windowed import Windows, export_windowed
from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError, QueryError
from soloist.runtime.ort import open_cpu
from soloist.runtime.queries import conditioning_for
from soloist.separators.bimodal import BiModal, BiModalConfig
from soloist.separators.bimodal_phrases import condition, encode
from soloist.separators.bimodal_whole import separate_windows
from soloist.separators.checkpoints import Checkpoint
from soloist.separators.clap_text import ClapText
from soloist.separators.spectrogram import Spectrogram
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # other people's, while libraries are imported
]

THIN = BiModalConfig(base=2, maps=5, words=64, embedding=7)
WINDOWS = Windows(advance=32, crossfade=4, lookahead=3)
VIOLIN, SPEECH = [0, 9, 8, 7, 2], [0, 11, 2]


@pytest.fixture(scope="module")
def network() -> BiModal:
    """As wide as a thread, otherwise as published; as if trained: words matter."""
    torch.manual_seed(3)
    text = ClapText(tokens=50, width=64, layers=1, hidden=32, embedding=7)
    network = BiModal(THIN, text).eval()
    with torch.no_grad():
        for module in network.net_sound.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, 0.2)
        network.net_clap.fc.weight.mul_(8)
        for level in network.net_sound.levels():
            if level.attends:
                level.attention.ca_block.attn.kv.weight.mul_(8)
                level.attention.ca_block.attn.proj.weight.mul_(8)
    return network


def save(network: BiModal, path: Path, *, text: bool = True) -> Path:
    state = {
        f"module.{key}": value
        for key, value in network.state_dict().items()
        if text or not key.startswith("net_clap.model.")
    }
    torch.save({"state_dict": state}, path)
    return path


def asked(folder: Path) -> Asked:
    """Two texts of different length, as token numbers in files."""
    files = {"violin": folder / "violin.npy", "speech": folder / "speech.npy"}
    for file, ids in zip(files.values(), (VIOLIN, SPEECH), strict=True):
        np.save(file, np.array(ids))
    return Asked(embeddings=files)


@pytest.fixture(scope="module")
def bundle(network: BiModal, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bimodal")
    checkpoint, output = save(network, folder / "model_best.pth.tar"), folder / "out.onnx"
    export_system("bimodal", checkpoint, asked(folder), output, WINDOWS)
    return Bundle.open(output)


def expected_conditioning(network: BiModal) -> NDArray[np.float32]:
    rows = torch.full((2, 77), 1)
    for row, ids in zip(rows, (VIOLIN, SPEECH), strict=True):
        row[: len(ids)] = torch.tensor(ids)
    assert network.net_clap.text is not None
    with torch.no_grad():
        made: NDArray[np.float32] = condition(network, encode(network.net_clap.text, rows)).numpy()
    return made


def test_a_bundle_says_what_the_network_says(network: BiModal, bundle: Bundle) -> None:
    spec = bundle.spec
    assert spec.parity["max_abs"] <= 1e-4
    assert spec.parity["snr_db"] >= 90
    assert (spec.architecture, spec.kind, spec.sample_rate) == ("bimodal", "windowed", 16_000)
    assert (spec.window_samples, spec.window_frames, spec.emitted_frames) == (131_070, 512, 36)
    assert (spec.frames.n_fft, spec.frames.hop, spec.frames.padding) == (1022, 256, "reflect")
    assert spec.fill == "zeros"
    assert [query.name for query in spec.queries] == ["violin", "speech"]

    model = onnx.load(bundle.path)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"GridSample", "DFT", "STFT", "ScatterND", "Loop", "If"}
    assert {node.domain for node in model.graph.node} <= {""}

    conditioning = expected_conditioning(network)
    assert conditioning.shape == (2, 6 * THIN.row_size + THIN.readout_size)  # 5 tokens and padding
    spectrogram = np.random.default_rng(3).standard_normal((2, 512, 512, 2)).astype(np.float32)
    with torch.no_grad():
        whole = network(torch.from_numpy(spectrogram), torch.from_numpy(conditioning)).numpy()
    session = open_cpu(bundle.path)
    (masks,) = session.run(["masks"], {"spectrogram": spectrogram})
    assert masks.shape == (2, 2, 512, 36, 1)
    assert np.abs(masks - whole[:, :, :, 473:509]).max() <= 1e-4
    assert np.abs(masks[:, 0] - masks[:, 1]).max() > 0.02
    given = {"spectrogram": spectrogram[:1], "conditioning": conditioning[1:]}
    (speech,) = session.run(["masks"], given)
    assert np.abs(speech[0, 0] - whole[0, 1, :, 473:509]).max() <= 1e-4


def test_a_bundle_plays_and_takes_no_other_words(bundle: Bundle) -> None:
    with pytest.raises(QueryError, match="takes no words but those it was exported with"):
        conditioning_for(bundle, ["drums"])
    audio = 0.1 * np.random.default_rng(1).standard_normal((40_000, 1)).astype(np.float32)
    stems = separate_array(Processor(bundle, outputs="stems"), audio, 16_000)
    assert stems.shape == (3, 40_000, 1)  # and the rest
    np.testing.assert_allclose(stems.sum(0), audio, atol=1e-4)
    assert np.abs(stems[0] - stems[1]).max() > 1e-3


def test_all_frames_of_a_window_can_be_had(tmp_path: Path) -> None:
    front = Spectrogram(16_000, 62, 16, 1023, "reflect")  # 32 bins, 64 frames
    small = BiModal(replace(THIN, levels=5, attending=2, front=front)).eval()
    file = tmp_path / "sound.npz"
    states = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    np.savez(file, hidden_tokens=states[:3], hidden_pad=states[3], text_embed=states[0, :7])
    checkpoint = Checkpoint("bimodal", small, {}, hashlib.sha256(b"").hexdigest())
    model = bimodal_model(checkpoint, tmp_path, Asked(embeddings={"sound": file}))
    spec = export_windowed(model, tmp_path / "out.onnx", Windows(whole=True), name="small")
    assert spec.emitted_frames == 64
    assert spec.parity["max_abs"] <= 1e-4


def test_whole_files_go_window_by_window(network: BiModal, tmp_path: Path) -> None:
    checkpoint = save(network, tmp_path / "model_best.pth.tar")
    whole = open_whole(checkpoint, asked(tmp_path), None)
    assert (whole.sample_rate, whole.names) == (16_000, ("violin", "speech"))
    audio = 0.1 * np.random.default_rng(2).standard_normal((140_000, 1)).astype(np.float32)
    found = whole.separate(audio, linked=True)
    conditioning = torch.from_numpy(expected_conditioning(network))
    expected = separate_windows(network, torch.from_numpy(audio[:, 0]), conditioning)
    assert np.abs(found[0] - found[1]).max() > 1e-3
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-6)
    with pytest.raises(BundleError, match="soft masks alone; leave --threshold out"):
        open_whole(checkpoint, asked(tmp_path), 0.5)


@pytest.mark.parametrize(
    ("text", "queries", "ids", "complaint"),
    [
        (True, (), [0, 5, 6], "begin with 0 and end with 2"),
        (False, (), VIOLIN, "no text branch to encode them"),
        (False, ("violin",), None, r"has no text branch for 'violin'.* --query-embedding"),
        (True, ("violin",), None, "vocabulary of roberta-base cannot be loaded from"),
        (True, (), None, "not all words"),
    ],
)
def test_queries_that_cannot_be(
    text: bool,
    queries: tuple[str, ...],
    ids: list[int] | None,
    complaint: str,
    network: BiModal,
    tmp_path: Path,
) -> None:
    path = save(network, tmp_path / "m.tar", text=text)
    files = {}
    if ids is not None:
        files["sound"] = tmp_path / "ids.npy"
        np.save(files["sound"], np.array(ids))
    asked_for = Asked(queries, files, weights=str(tmp_path))
    with pytest.raises(QueryError, match=complaint):
        export_system("bimodal", path, asked_for, tmp_path / "out.onnx", WINDOWS)
    assert not (tmp_path / "out.onnx").exists()
