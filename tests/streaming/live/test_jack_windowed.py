"""A windowed model on a real JACK server: exact where the server waits, orderly where not."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]

RATE = 16_000
HOP = 64
GRID = 5 * HOP  # samples from one window to the next


@pytest.fixture
def toy(windowed_toy: Make) -> Any:
    """Frames of 256 every 64 samples, a window of 0.26 s every five of them."""
    return windowed_toy(n_fft=256, hop=HOP, samples=4096)


def test_live_equals_offline(start_server: Make, play_through: Make, toy: Any) -> None:
    """In one way in which the windows can lie over the audio; silence came before it."""
    rng = np.random.default_rng(5)
    audio = rng.uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)
    recording = play_through(
        start_server(rate=RATE, period=HOP), audio, "--model", str(toy.path), outputs=2
    )
    delay = toy.spec.latency_samples - HOP
    for name, hops in (("advance", 5), ("cross-fade", 2), ("look-ahead", 2), ("compute", 5)):
        assert re.search(f" {name} +{hops * HOP} samples", recording.text)
    heard = recording.audio[delay : delay + len(audio)]
    matches = 0
    for lead in range(0, GRID, HOP):
        # Silence for longer than a block, so that no window reaches to before it.
        silence = np.zeros((16 * GRID + lead, 2), np.float32)
        processor = Processor(toy.bundle, linked=True, device="cpu")
        expected = separate_array(processor, np.concatenate([silence, audio]), RATE)
        matches += np.array_equal(heard, expected[len(silence) :])
    assert matches == 1
    assert np.abs(heard).max() > 0.1


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
