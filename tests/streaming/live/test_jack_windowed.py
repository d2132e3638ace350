"""A windowed model on a real JACK server: exact where the server waits, orderly where not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Audio = NDArray[np.float32]
Make = Callable[..., Any]

RATE = 16_000
HOP = 64


@pytest.fixture
def toy(windowed_toy: Make) -> Any:
    """Frames of 256 every 64 samples, a window of 0.26 s every five of them."""
    return windowed_toy(n_fft=256, hop=HOP, samples=4096)


def matches(bundle: Bundle, period: int, audio: Audio, recorded: Audio) -> int:
    """In how many ways in which windows can lie over audio, after silence, live equals offline.

    The server's period is a multiple of the hop.
    """
    spec = bundle.spec
    delay = spec.latency_samples - spec.frames.hop
    heard = recorded[delay : delay + len(audio)]
    assert np.abs(heard).max() > 0.1
    grid = spec.schedule().advance * spec.frames.hop
    assert spec.window_samples is not None
    found = 0
    for lead in range(0, grid, period):
        # Silence for longer than a window, so that none reaches to before it.
        before = (spec.window_samples // grid + 3) * grid + lead
        silence = np.zeros((before, audio.shape[1]), np.float32)
        processor = Processor(bundle, linked=True, device="cpu")
        given = np.concatenate([silence, audio])
        expected = separate_array(processor, given, spec.sample_rate)
        found += np.array_equal(heard, expected[len(silence) :])
    return found


def test_live_equals_offline(start_server: Make, play_through: Make, toy: Any) -> None:
    rng = np.random.default_rng(5)
    audio = rng.uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)
    recording = play_through(
        start_server(rate=RATE, period=HOP), audio, "--model", str(toy.path), outputs=2
    )
    for name, hops in (("advance", 5), ("cross-fade", 2), ("look-ahead", 2), ("compute", 5)):
        assert re.search(f" {name} +{hops * HOP} samples", recording.text)
    assert matches(toy.bundle, HOP, audio, recording.audio) == 1


@pytest.mark.slow
def test_clapsep_live_equals_offline(
    start_server: Make, play_through: Make, tmp_path: Path
) -> None:
    """A small one, all else as published; a window for each of the server's periods."""
    torch = pytest.importorskip("torch", reason="exports the network")
    from soloist.export.asked import Asked
    from soloist.export.clapsep import clapsep_model
    from soloist.export.windowed import Windows, export_windowed
    from soloist.separators import htsat
    from soloist.separators.checkpoints import Checkpoint
    from soloist.separators.clapsep import CLAPSep, Sizes

    torch.manual_seed(0)
    network = CLAPSep(sizes=Sizes(htsat.Sizes(32, (1, 1)), width=16, layers=1)).eval()
    rng = np.random.default_rng(5)
    np.save(tmp_path / "wanted.npy", rng.standard_normal(1024))
    asked = Asked(embeddings={"wanted": tmp_path / "wanted.npy"})
    model = clapsep_model(Checkpoint("clapsep", network, {}, "0" * 64), tmp_path / "x.pt", asked)
    path = tmp_path / "small.onnx"
    export_windowed(model, path, Windows(advance=10, crossfade=2, room=0), name="small")
    audio = rng.uniform(-0.5, 0.5, (16_000, 1)).astype(np.float32)
    server = start_server(rate=32_000, period=3200)
    recording = play_through(server, audio, "-m", str(path), outputs=1, tail=16_000)
    assert matches(Bundle.open(path), 3200, audio, recording.audio) == 1


def test_in_real_time_it_starts_plays_and_ends(
    start_server: Make, run_live: Make, toy: Any
) -> None:
    live = run_live(
        start_server(rate=RATE, period=HOP), "-i", "system", "-o", "system", "-m", str(toy.path),
        "--advance", "32ms", "--tight", "--duration", "1",
    )  # fmt: skip
    assert live.finish() == 0, live.text
    # At least as far apart as asked; as long as a window takes where that is longer.
    advance, compute = (
        int(re.search(f" {name} +(\\d+) samples", live.text)[1])  # type: ignore[index]
        for name in ("advance", "compute")
    )
    assert advance >= 8 * HOP and compute <= advance


def test_a_network_that_is_too_slow_is_refused(
    start_server: Make, run_live: Make, windowed_toy: Make
) -> None:
    """A window for each sample or two of audio is more than any machine can make."""
    toy = windowed_toy(n_fft=4, hop=1, samples=3000, emitted=3, baked=0, advance=3, crossfade=0)
    live = run_live(start_server(rate=RATE), "-i", "system", "-o", "system", "-m", str(toy.path))
    assert live.finish() == 2
    assert re.search(
        r"soloist: the network takes \S+ ms for a window, .* 0.188 ms apart", live.text
    )
