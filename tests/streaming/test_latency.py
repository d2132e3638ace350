import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.latency import Latency, adapter_delay
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]

LARGEST_BLOCK = 4096


@pytest.mark.parametrize("hop", [1, 7, 64, 100, 128, 240, 256])
def test_adapter_delay_is_the_least_that_never_falls_short(hop: int) -> None:
    """By brute force: after k blocks, what was asked for less what whole hops have given."""
    blocks = np.arange(1, LARGEST_BLOCK + 1)[:, None]
    asked = blocks * np.arange(hop + 1)  # then the remainders repeat
    shortest = (asked - asked // hop * hop).max(axis=1)
    assert [adapter_delay(hop, block) for block in range(1, LARGEST_BLOCK + 1)] == list(shortest)


def test_adapter_delay_for_any_block_is_the_worst_of_all() -> None:
    for hop in (1, 7, 128):
        worst = max(adapter_delay(hop, block) for block in range(1, LARGEST_BLOCK + 1))
        assert adapter_delay(hop, None) == worst == hop - 1


@pytest.mark.parametrize(("hop", "block"), [(0, 1), (1, 0), (128, -1)])
def test_adapter_delay_refuses_no_size(hop: int, block: int) -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        adapter_delay(hop, block)


def test_reported_is_measured_for_every_block_size(
    ready: Callable[..., Processor],
    play: Callable[..., Audio],
    noise: Callable[..., Audio],
    error_db: Callable[[Audio, Audio], float],
) -> None:
    """Noise through a network that changes nothing: the output is the input, so many samples on.

    A short analysis window, for time; the delay does not depend on it.
    """
    processor = ready(n_fft=256, hop=128)
    audio = noise(2 * LARGEST_BLOCK)
    for block in range(1, LARGEST_BLOCK + 1):
        processor.set_block(block)
        processor.reset()
        length = max(-(-640 // block), 1 + (block < 1024)) * block
        out = play(processor, audio[:length], [block])
        delay = processor.latency_samples
        assert delay == 2 * 128 - np.gcd(128, block) == processor.latency.total
        assert np.abs(out[:delay]).max() < 1e-6
        assert error_db(out[delay:], audio[: length - delay]) < -120
    assert processor.counters.shortfall == 0


@settings(max_examples=30, deadline=None)
@given(hop=st.integers(1, 40), more=st.integers(0, 50), block=st.integers(1, 200))
def test_reported_is_measured_for_any_frames(
    ready: Callable[..., Processor],
    play: Callable[..., Audio],
    noise: Callable[..., Audio],
    hop: int,
    more: int,
    block: int,
) -> None:
    processor = ready(n_fft=2 * (hop + more), hop=hop, block=block)
    impulse = np.zeros((-(-400 // block) * block, 1), np.float32)
    impulse[123] = 1.0
    out = play(processor, impulse, [block])
    assert np.flatnonzero(np.abs(out) > 1e-3) == [123 + processor.latency_samples]
    assert processor.counters.shortfall == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=30))
def test_varying_blocks_get_the_worst_case_and_no_gap(
    ready: Callable[..., Processor],
    play: Callable[..., Audio],
    noise: Callable[..., Audio],
    error_db: Callable[[Audio, Audio], float],
    blocks: list[int],
) -> None:
    processor = ready(block=None)
    assert processor.latency_samples == 2 * 128 - 1
    audio = noise(1500)
    out = play(processor, audio, blocks)
    assert error_db(out[255:], audio[:-255]) < -120
    assert processor.counters.shortfall == 0


def test_says_itself_in_samples_and_milliseconds() -> None:
    latency = Latency(48_000, (("overlap", 128), ("block adapter", 96)))
    assert latency.total == 224
    assert latency.ms == pytest.approx(4.6667, abs=1e-4)
    assert str(latency) == "4.67 ms (224 samples at 48000 Hz)"
    assert latency.table().splitlines() == [
        "overlap           128 samples     2.67 ms",
        "block adapter      96 samples     2.00 ms",
        "total             224 samples     4.67 ms",
    ]
    assert json.loads(json.dumps(latency.json())) == {
        "sample_rate": 48_000,
        "parts": {"overlap": 128, "block adapter": 96},
        "samples": 224,
        "ms": 4.667,
    }
    assert latency.plus("driver", 256).total == 480
