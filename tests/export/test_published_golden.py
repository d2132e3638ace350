"""The whole way, published weights to onnxruntime, against what the published code computes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soloist.export.asked import Asked
from soloist.export.systems import export_system
from soloist.export.windowed import Windows
from soloist.runtime.ort import open_cpu
from soloist.separators.clipsep import CLIPSepNIT
from soloist.separators.log_picture import Geometry
from soloist.separators.spectrogram import as_pairs


@pytest.mark.slow
@pytest.mark.parametrize(
    "windows", [Windows(whole=True), Windows(advance=16, crossfade=4, lookahead=30)]
)
def test_clipsep_nit(golden: Any, windows: Windows, tmp_path: Path) -> None:
    truth = golden.arrays("clipsep")
    network = CLIPSepNIT(Geometry())
    golden.recipe("fill_weights").fill_state_dict(network.state_dict(), "public", "clipsep")
    torch.save(network.state_dict(), tmp_path / "nit.pt")
    np.save(tmp_path / "query.npy", truth["query"])
    asked, output = Asked(embeddings={"sound": tmp_path / "query.npy"}), tmp_path / "nit.onnx"
    spec = export_system("clipsep-nit", tmp_path / "nit.pt", asked, output, windows)
    assert spec.parity["max_abs"] <= 1e-4
    front = network.geometry.front
    clip = np.resize(truth["wave"].astype(np.float32) / 32768, front.clip)
    spectrogram = as_pairs(front.analyse(torch.from_numpy(clip)))[None].numpy()
    (masks,) = open_cpu(output).run(["masks"], {"spectrogram": spectrogram})
    last = 256 - (spec.lookahead_frames or 0)
    frames = np.arange(last - (spec.emitted_frames or 0), last)
    given = frames % 4 == 0  # the golden file has every fourth
    difference = masks[0, 0, :, given, 0].T - truth["mask_lin_sub"][:, frames[given] // 4]
    assert np.abs(difference).max() <= 1e-3
    assert np.sqrt(np.square(difference).mean()) <= 1e-4
