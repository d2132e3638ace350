"""A listener's checkpoint inside a bundle says what the network says."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from soloist.export.listener import carried
from soloist.runtime.errors import BundleError
from soloist.runtime.listener import Listener as Runs
from soloist.separators.checkpoints import Checkpoint
from soloist.separators.listener import Listener, spectrum, to_checkpoint
from soloist.separators.solo import Solo, SoloConfig

SMALL = SoloConfig(width=16, memory=16, blocks=1, patch_width=8, maps=8, embedding=6)


def solo(sample_rate: int = 48_000) -> Checkpoint[Solo]:
    network = Solo(replace(SMALL, sample_rate=sample_rate))
    facts = {"vocabulary": {"dog": ["dog"], "rain": ["rain"], "piano": ["piano"]}}
    return Checkpoint("solo", network, facts, "0" * 64)


@pytest.fixture
def listener(tmp_path: Path) -> tuple[Path, Listener]:
    torch.manual_seed(4)
    network = Listener(["rain", "dog"]).eval()
    path = tmp_path / "listener.pt"
    torch.save(to_checkpoint(network) | {"facts": {"curve": []}}, path)
    return path, network


def test_it_hears_what_the_network_hears(listener: tuple[Path, Listener]) -> None:
    path, network = listener
    runs = Runs(base64.b64decode(carried(path, solo())))
    assert runs.hearing.classes == ("rain", "dog")
    random = np.random.default_rng(0)
    audio = (0.1 * random.standard_normal(runs.samples)).astype(np.float32)
    with torch.no_grad():
        expected = network(spectrum(torch.from_numpy(audio), 48_000).abs()[None])[0].numpy()
    np.testing.assert_allclose(runs(audio), expected, atol=1e-2)  # weights in float16


def test_its_weights_take_half_the_file(listener: tuple[Path, Listener]) -> None:
    path, network = listener
    model = onnx.load_from_string(base64.b64decode(carried(path, solo())))
    numbers = sum(weights.numel() for weights in network.state_dict().values())
    assert 2 * numbers < model.ByteSize() < 2.1 * numbers + 200_000


@pytest.mark.parametrize("fault", ["rate", "class", "file"])
def test_what_does_not_go_together_is_one_line(
    listener: tuple[Path, Listener], tmp_path: Path, fault: str
) -> None:
    path, _ = listener
    separator = solo(44_100 if fault == "rate" else 48_000)
    if fault == "class":
        torch.save(to_checkpoint(Listener(["yeti"])) | {"facts": {"curve": []}}, path)
    if fault == "file":
        path = tmp_path / "none.pt"
    expected = {"rate": "44100 Hz", "class": "yeti", "file": "cannot be read"}[fault]
    with pytest.raises(BundleError, match=expected) as caught:
        carried(path, separator)
    assert "\n" not in str(caught.value)
