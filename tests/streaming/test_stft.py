import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.frames import Frames, analysis_window
from soloist.streaming.stft import StreamingISTFT, StreamingSTFT

Audio = NDArray[np.float32]

windows = st.sampled_from([("asymmetric-analysis", "asymmetric-synthesis"), ("hann", "hann-istft")])
geometries = st.tuples(st.integers(1, 24), st.integers(0, 40), windows).map(
    lambda drawn: Frames(2 * (drawn[0] + drawn[1]), drawn[0], *drawn[2])
)


def stream(stft: StreamingSTFT, istft: StreamingISTFT, audio: Audio, hop: int, bins: int) -> Audio:
    """Analyse and synthesise (channels, samples), whole hops of it."""
    spectrum = np.zeros((len(audio), bins), np.complex64)
    out = np.zeros_like(audio)
    for start in range(0, audio.shape[1], hop):
        stft.newest[...] = audio[:, start : start + hop]
        stft.analyse(spectrum)
        assert istft.synthesise(spectrum, out[:, start : start + hop])
        stft.advance()
    return out


@settings(max_examples=30, deadline=None)
@given(geometries, st.integers(1, 3))
def test_gives_the_input_back_as_late_as_the_overlap(frames: Frames, channels: int) -> None:
    """Whether or not the hop divides the frame."""
    hop, late = frames.hop, frames.overlap
    audio = np.random.default_rng(0).standard_normal((channels, 100 * hop)).astype(np.float32)
    stft, istft = StreamingSTFT(frames, channels), StreamingISTFT(frames, channels)
    for _ in range(2):  # the second time after a reset: the same as the first
        out = stream(stft, istft, audio, hop, frames.bins)
        assert np.abs(out[:, late:] - audio[:, :-late]).max() < 3e-6
        assert np.abs(out[:, :late]).max() < 3e-6
        stft.reset()
        istft.reset()


def test_spectra_are_those_of_the_newest_samples() -> None:
    """Against numpy in double precision on a padded copy of the whole signal."""
    frames = Frames(1024, 128)
    audio = np.random.default_rng(1).standard_normal((2, 128 * 50)).astype(np.float32)
    padded = np.pad(audio, ((0, 0), (1024, 0))).astype(float)
    stft = StreamingSTFT(frames, 2)
    spectrum = np.zeros((2, frames.bins), np.complex64)
    for hop in range(50):
        stft.newest[...] = audio[:, hop * 128 : (hop + 1) * 128]
        stft.analyse(spectrum)
        end = 1024 + (hop + 1) * 128
        assert (stft.completed == padded[:, end - 256 : end - 128]).all()
        expected = np.fft.rfft(padded[:, end - 1024 : end] * analysis_window(frames))
        assert np.abs(spectrum - expected).max() < 1e-4
        stft.advance()


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (1022, 256), (1024, 320), (2048, 320)])
def test_masked_frames_are_those_of_torch(n_fft: int, hop: int) -> None:
    """Spectra that are no signal's any more, against torch.istft of all of them at once."""
    torch = pytest.importorskip("torch")
    frames = Frames(n_fft, hop, "hann", "hann-istft")
    rng = np.random.default_rng(3)
    audio = rng.standard_normal((2, 40 * hop)).astype(np.float32)
    masks = rng.random((40, 2, frames.bins)).astype(np.float32)
    stft, istft = StreamingSTFT(frames, 2), StreamingISTFT(frames, 2)
    spectra = np.zeros((40, 2, frames.bins), np.complex64)
    out = np.zeros_like(audio)
    for at in range(40):
        stft.newest[...] = audio[:, at * hop : (at + 1) * hop]
        stft.analyse(spectra[at])
        spectra[at] *= masks[at]
        istft.synthesise(spectra[at], out[:, at * hop : (at + 1) * hop])
        stft.advance()
    window = torch.hann_window(n_fft)
    by_torch = torch.istft(torch.from_numpy(spectra).permute(1, 2, 0), n_fft, hop, window=window)
    # Torch drops half a frame at the start. At both ends it divides by the windows that are there,
    # ours by those of a whole stream.
    inner = slice(n_fft, 40 * hop - n_fft)
    expected = by_torch.numpy()[:, inner.start - n_fft // 2 :][:, : inner.stop - inner.start]
    np.testing.assert_allclose(out[:, inner], expected, atol=2e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bin_", [0, 1, 200, 511])
@pytest.mark.parametrize("part", [1.0, 1j])
def test_a_frame_that_is_not_finite_is_silence(value: float, bin_: int, part: complex) -> None:
    if bin_ == 0 and part == 1j:
        pytest.skip("the imaginary part at 0 Hz is not read")
    frames = Frames(1024, 128)
    istft = StreamingISTFT(frames, 6)
    spectrum = np.ones((6, frames.bins), np.complex64)
    out = np.zeros((6, 128), np.float32)
    assert istft.synthesise(spectrum, out)
    with np.errstate(all="ignore"):
        spectrum[5, bin_] += value * part
        assert not istft.synthesise(spectrum, out)
    assert np.isfinite(out).all()
    spectrum.fill(0.0)
    assert istft.synthesise(spectrum, out)
    assert not out.any()


def test_keeps_single_precision() -> None:
    """A silent change to double would double the time; numpy below 2 did that."""
    out = np.fft.rfft(np.zeros((1, 8), np.float32))
    assert out.dtype == np.complex64
    assert np.fft.irfft(out).dtype == np.float32
