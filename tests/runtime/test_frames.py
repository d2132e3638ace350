"""Windows against closed forms, scipy, and a transform written out by hand."""

from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.errors import BundleError
from soloist.runtime.frames import Frames, analysis_window, synthesis_window

GEOMETRIES = [(1024, 128), (1024, 64), (1024, 240), (2048, 480), (256, 128), (30, 7), (2, 1)]


@pytest.mark.parametrize(("n_fft", "hop"), GEOMETRIES)
def test_product_is_a_hann_of_two_hops_at_the_newest_samples(n_fft: int, hop: int) -> None:
    frames = Frames(n_fft, hop)
    product = analysis_window(frames) * synthesis_window(frames)
    hann = scipy.signal.get_window("hann", 2 * hop, fftbins=True)
    np.testing.assert_allclose(product[-2 * hop :], hann, rtol=0, atol=1e-15)
    assert not product[: -2 * hop].any()
    assert not synthesis_window(frames)[: -2 * hop].any()


@settings(max_examples=50, deadline=None)
@given(hop=st.integers(1, 600), extra=st.integers(0, 600))
def test_overlap_add_is_one_to_the_last_bits(hop: int, extra: int) -> None:
    frames = Frames(2 * hop + 2 * extra, hop)
    product = (analysis_window(frames) * synthesis_window(frames))[-2 * hop :]
    assert np.abs(product[:hop] + product[hop:] - 1.0).max() <= 1e-15


@pytest.mark.parametrize(("n_fft", "hop"), GEOMETRIES)
def test_analysis_window_is_the_published_formula(n_fft: int, hop: int) -> None:
    """Mauler & Martin's two halves, sample by sample, in the form with cosines."""
    expected = []
    for n in range(n_fft):
        length, at = (2 * (n_fft - hop), n) if n < n_fft - hop else (2 * hop, n - n_fft + 2 * hop)
        expected.append((0.5 * (1 - np.cos(2 * np.pi * at / length))) ** 0.5)
    np.testing.assert_allclose(analysis_window(Frames(n_fft, hop)), expected, rtol=0, atol=1e-8)


def test_two_hops_make_the_symmetric_root_hann() -> None:
    frames = Frames(256, 128)
    root = np.sqrt(scipy.signal.get_window("hann", 256))
    np.testing.assert_allclose(analysis_window(frames), root, atol=1e-15)
    np.testing.assert_allclose(synthesis_window(frames), root, atol=1e-15)


@pytest.mark.parametrize(("n_fft", "hop"), GEOMETRIES)
def test_a_signal_survives_analysis_and_synthesis(n_fft: int, hop: int) -> None:
    """The stream that starts from zeros comes back but for its last, still incomplete hop."""
    frames = Frames(n_fft, hop)
    signal = np.random.default_rng(0).standard_normal(12 * hop)
    padded = np.concatenate([np.zeros(n_fft - hop), signal])
    rebuilt = np.zeros_like(padded)
    for start in range(0, len(signal), hop):
        spectrum = np.fft.rfft(padded[start : start + n_fft] * analysis_window(frames))
        assert len(spectrum) == frames.bins
        frame = np.fft.irfft(spectrum, n_fft) * synthesis_window(frames)
        rebuilt[start : start + n_fft] += frame
    np.testing.assert_allclose(rebuilt[n_fft - hop : -hop], signal[:-hop], atol=1e-12)


HANN_GEOMETRIES = [(1024, 256), (1022, 256), (1024, 320), (2048, 320), (512, 64), (30, 7), (2, 1)]


@pytest.mark.parametrize(("n_fft", "hop"), HANN_GEOMETRIES)
def test_hann_with_its_inverse_is_torch_stft(n_fft: int, hop: int) -> None:
    """Where no frame is missing, torch's inverse is a plain overlap-add of ours."""
    torch = pytest.importorskip("torch")
    frames = Frames(n_fft, hop, "hann", "hann-istft", "reflect")
    size = 8 * n_fft
    signal = torch.from_numpy(np.random.default_rng(0).standard_normal(size))
    window = torch.hann_window(n_fft, dtype=torch.float64)
    np.testing.assert_allclose(analysis_window(frames), window, atol=1e-15)
    spectra = torch.stft(signal, n_fft, hop, window=window, return_complex=True)
    spectra *= torch.rand(spectra.shape, dtype=torch.float64)  # no longer one signal's
    expected = torch.istft(spectra, n_fft, hop, window=window, length=size).numpy()
    rebuilt = np.zeros(size + 2 * n_fft)
    for frame, spectrum in enumerate(spectra.numpy().T):
        samples = np.fft.irfft(spectrum, n_fft) * synthesis_window(frames)
        rebuilt[frame * hop : frame * hop + n_fft] += samples
    inner = slice(n_fft, size - n_fft)
    rebuilt = rebuilt[n_fft // 2 :]
    np.testing.assert_allclose(rebuilt[inner], expected[inner], atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(hop=st.integers(1, 200), extra=st.integers(0, 500))
def test_hann_overlap_adds_to_one_whether_or_not_the_hop_divides(hop: int, extra: int) -> None:
    frames = Frames(2 * hop + 2 * extra, hop, "hann", "hann-istft", "zeros")
    product = analysis_window(frames) * synthesis_window(frames)
    assert (frames.support, frames.overlap) == (frames.n_fft, frames.n_fft - hop)
    total = np.zeros(5 * frames.n_fft)
    for start in range(0, 4 * frames.n_fft + 1, hop):
        total[start : start + frames.n_fft] += product
    assert np.abs(total[frames.n_fft : 4 * frames.n_fft] - 1.0).max() < 1e-13


def test_support_of_the_asymmetric_windows_is_two_hops() -> None:
    assert (Frames(1024, 128).support, Frames(1024, 128).overlap) == (256, 128)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"n_fft": 1024, "hop": 0}, "hop 0"),
        ({"n_fft": 255, "hop": 64}, "n_fft 255"),
        ({"n_fft": 256, "hop": 129}, "at least two hops"),
        ({"n_fft": 256, "hop": 64, "analysis": "hamming"}, "'hamming'"),
        ({"n_fft": 256, "hop": 64, "synthesis": "kaiser"}, "'kaiser'"),
        ({"n_fft": 256, "hop": 64, "analysis": "hann"}, "do not give the input back"),
        ({"n_fft": 256, "hop": 64, "padding": "mirror"}, "'mirror'"),
    ],
)
def test_geometry_that_cannot_run_is_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint):
        Frames(**arguments)
