"""`soloist export` of a published checkpoint, and what it makes in the commands that play."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="export reads checkpoints")
pytest.importorskip("onnxscript")

from soloist.separators.clipsep import CLIPSep  # noqa: E402
from soloist.separators.log_picture import Geometry  # noqa: E402

Run = Callable[..., Any]


@pytest.mark.slow
def test_a_bundle_of_a_published_checkpoint_plays_like_any_other(
    soloist: Run, recording: Callable[..., Path], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    torch.save(CLIPSep(Geometry(maps=6, levels=5)).state_dict(), tmp_path / "model.pt")
    (tmp_path / "train-args.json").write_text('{"n_fft": 256, "hop_len": 64, "audio_len": 4095}')
    for seed, name in enumerate(["violin", "speech"]):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).standard_normal(512))
    bundle = tmp_path / "strings.onnx"
    queries = ["--query-embedding", tmp_path / "violin.npy", "-q", f"file:{tmp_path}/speech.npy"]
    line = ["export", "clipsep", tmp_path / "model.pt", *queries, "-o", bundle]
    done = soloist(*line, "--advance", 6, "--crossfade", 2, "--lookahead", 1)
    assert done.code == 0
    assert "against torch: max_abs" in done.err
    refused = soloist(*line, "--precision", "int8").refusal
    assert refused == "clipsep is exported in fp32 only, not in int8"
    refused = soloist(*line, "--listener", tmp_path / "model.pt").refusal
    assert refused == "a listener goes with solo, not with clipsep; leave --listener out"
    refused = soloist(*line, "--listener", tmp_path / "none.pt").refusal
    assert refused.startswith("no checkpoint")

    info = soloist("info", bundle)
    assert info.code == 0
    assert "windowed" in info.out
    source = recording(channels=2, seconds=0.7, subtype="FLOAT")
    assert soloist("separate", source, tmp_path / "out.wav", "-m", bundle).code == 0
    names = [path.name for path in tmp_path.glob("out-*.wav")]
    assert "out-violin.wav" in names
    assert len(names) == 3
    stems = [soundfile.read(tmp_path / name)[0] for name in names]
    np.testing.assert_allclose(sum(stems), soundfile.read(source)[0], atol=1e-5)
    one = tmp_path / "one.wav"
    assert soloist("separate", source, one, "-m", bundle, "-q", "violin").code == 0
    expected = soundfile.read(tmp_path / "out-violin.wav")[0]
    np.testing.assert_allclose(soundfile.read(one)[0], expected, atol=2e-3)  # halved digits
    unknown = soloist("separate", source, one, "-m", bundle, "-q", "cello").refusal
    assert "clip/photo" in unknown
