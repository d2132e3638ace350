"""Blocks: what a history still has, and their frames as torch makes them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.frames import Frames
from soloist.streaming.blocks import BlockTransform, History


def transform_of(frames: Frames, size: int, fill: Any, channels: int) -> BlockTransform:
    shape = (channels, frames.bins, 1 + size // frames.hop, 2)
    return BlockTransform(frames, size, fill, np.zeros(shape, np.float32))


@settings(max_examples=60, deadline=None)
@given(
    hop=st.integers(1, 5),
    hops=st.integers(2, 6),
    written=st.integers(0, 20),
    start=st.integers(0, 60),
    count=st.integers(0, 20),
)
def test_a_history_tells_what_it_still_has(
    hop: int, hops: int, written: int, start: int, count: int
) -> None:
    """A place is in doubt as soon as the hop that goes there next may be on its way."""
    count = min(count, max(0, written * hop - start))
    history = History(2, hop, hops)
    stream = np.arange(2 * 20 * hop, dtype=np.float32).reshape(2, -1)
    for at in range(written):
        history.write(stream[:, at * hop : (at + 1) * hop])
    out = np.zeros((2, min(count, hops * hop)), np.float32)
    kept = start > (written - hops + 1) * hop - 1
    assert history.read(start, out) == kept
    if kept:
        np.testing.assert_array_equal(out, stream[:, start : start + out.shape[1]])


def test_a_cleared_history_begins_anew() -> None:
    history, out = History(1, 2, 3), np.zeros((1, 2), np.float32)
    for value in (1.0, 2.0, 3.0, 4.0):
        history.write(np.full((1, 2), value, np.float32))
    history.clear()
    history.write(np.full((1, 2), 5.0, np.float32))
    assert history.read(0, out)
    assert (out == 5.0).all()


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize(
    ("n_fft", "hop", "size"), [(1024, 256, 65_535), (1022, 256, 20_000), (2048, 320, 16_000)]
)
def test_a_block_is_framed_as_by_torch(padding: Any, n_fft: int, hop: int, size: int) -> None:
    torch = pytest.importorskip("torch")
    frames = Frames(n_fft, hop, "hann", "hann-istft", padding)
    audio = np.random.default_rng(0).standard_normal((2, size + 3 * hop)).astype(np.float32)
    history = History(2, hop, size // hop + 5)
    for at in range(audio.shape[1] // hop):
        history.write(audio[:, at * hop : (at + 1) * hop])
    block = transform_of(frames, size, "zeros", 2)
    assert block.transform(history, hop)
    expected = torch.stft(
        torch.from_numpy(audio[:, hop : hop + size].copy()),
        n_fft,
        hop,
        window=torch.hann_window(n_fft),
        pad_mode="constant" if padding == "zeros" else "reflect",
        return_complex=True,
    )
    expected = torch.view_as_real(expected).numpy()
    assert block.spectrogram.shape == expected.shape
    np.testing.assert_allclose(block.spectrogram, expected, atol=2e-4)


@pytest.mark.parametrize("there", [1, 3, 40, 99, 100])
def test_before_the_stream_there_are_zeros_or_the_audio_repeated(there: int) -> None:
    frames = Frames(20, 10, "hann", "hann-istft", "zeros")
    audio = np.random.default_rng(0).standard_normal((1, 100)).astype(np.float32)
    for fill in ("zeros", "repeat"):
        history = History(1, 10, 12)
        for at in range(0, 100, 10):
            history.write(audio[:, at : at + 10])
        block = transform_of(frames, 100, fill, 1)
        assert block.transform(history, there - 100)
        whole = np.array([audio[0, at % there] for at in range(there - 100, there)], np.float32)
        if fill == "zeros":
            whole[: 100 - there] = 0.0
        other = History(1, 10, 12)
        for at in range(0, 100, 10):
            other.write(whole[None, at : at + 10])
        expected = transform_of(frames, 100, "zeros", 1)
        assert expected.transform(other, 0)
        np.testing.assert_array_equal(block.spectrogram, expected.spectrogram)
