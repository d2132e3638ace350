"""The published front ends: the transform, and the way to log frequency and back."""

import numpy as np
import pytest
import torch

from soloist.separators.spectrogram import Spectrogram, as_pairs, binary, magnitude
from soloist.separators.warp import LogFrequency

FRONTS = [
    Spectrogram(16_000, 1024, 256, 65_535, "zeros"),
    Spectrogram(16_000, 1022, 256, 131_070, "reflect"),
]


@pytest.mark.parametrize("front", FRONTS)
def test_a_frame_is_the_transform_of_its_samples(front: Spectrogram) -> None:
    rng = np.random.default_rng(0)
    audio = rng.standard_normal(4000).astype(np.float32)
    half = front.n_fft // 2
    padded = np.pad(audio, half, mode="constant" if front.padding == "zeros" else "reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front.n_fft) / front.n_fft)
    spectrum = front.analyse(torch.from_numpy(audio)).numpy()
    assert spectrum.shape == (front.bins, 1 + 4000 // 256)
    for frame in (0, 1, 7, 15):
        samples = padded[frame * 256 : frame * 256 + front.n_fft]
        np.testing.assert_allclose(spectrum[:, frame], np.fft.rfft(samples * window), atol=1e-3)


@pytest.mark.parametrize("front", FRONTS)
def test_back_to_the_samples(front: Spectrogram) -> None:
    audio = torch.randn(2, 3, front.clip)
    spectrum = front.analyse(audio)
    assert spectrum.shape == (2, 3, front.bins, front.frames)
    assert front.frames == front.clip // 256 + 1
    torch.testing.assert_close(front.synthesise(spectrum, front.clip), audio, atol=1e-4, rtol=0)
    shorter = front.synthesise(spectrum)
    assert shorter.shape[-1] == 256 * (front.frames - 1)
    torch.testing.assert_close(shorter, audio[..., : shorter.shape[-1]], atol=1e-4, rtol=0)


@pytest.mark.parametrize("front", FRONTS)
def test_a_spectrum_is_on_the_device_of_its_audio(front: Spectrogram) -> None:
    spectrum = front.analyse(torch.zeros(2, 9000, device="meta"))
    assert spectrum.shape == (2, front.bins, 1 + 9000 // front.hop)
    assert spectrum.device.type == "meta"


def test_pairs_and_thresholds() -> None:
    spectrum = torch.tensor([3 - 4j, 0j])
    assert magnitude(as_pairs(spectrum)).tolist() == [5.0, 0.0]
    assert binary(torch.tensor([0.5, 0.51, 0.1])).tolist() == [0.0, 1.0, 0.0]
    assert binary(torch.tensor([0.5, 0.51, 0.1]), 0.05).tolist() == [1.0, 1.0, 1.0]


def test_rows_are_where_the_formula_says() -> None:
    """A ramp over the bins reads as the places themselves: interpolation of a line is exact."""
    warp = LogFrequency(513, 256)
    ramp = torch.arange(513.0)[:, None].expand(-1, 3)
    expected = 512 / 20 * (21 ** (np.arange(256) / 255) - 1)
    np.testing.assert_allclose(warp.to_rows()(ramp)[:, 1], expected, rtol=1e-6, atol=1e-5)
    back = warp.to_bins()(torch.arange(256.0)[:, None])[:, 0]
    expected = 255 * np.log(1 + 20 * np.arange(513) / 512) / np.log(21)
    np.testing.assert_allclose(back, expected, rtol=1e-6, atol=1e-5)


def test_warp_is_grid_sampling_along_frequency() -> None:
    """As the published code does it, but for its rounding of coordinates to float32."""
    warp = LogFrequency(513, 256)
    magnitudes = torch.rand(1, 1, 513, 16)
    places = 2 * (21 ** (torch.arange(256, dtype=torch.float64) / 255) - 1) / 20 - 1
    times = torch.linspace(-1, 1, 16, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(places, times, indexing="ij")[::-1], dim=-1)[None].float()
    expected = torch.nn.functional.grid_sample(magnitudes, grid, align_corners=True)
    torch.testing.assert_close(warp.to_rows()(magnitudes), expected, atol=1e-4, rtol=0)
