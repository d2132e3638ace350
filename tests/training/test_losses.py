"""The band losses against the same figures taken from whole spectra."""

import math

import pytest
import torch
from torch import Tensor

from soloist.training.losses import BandEnergies, log_error, mask_error

BANDS = [(0, 1), (1, 3), (3, 8)]


def spectra(seed: int) -> tuple[Tensor, Tensor]:
    """A mixture and a source in it, ``(1, 6 frames, 8 bins)`` complex."""
    generator = torch.Generator().manual_seed(seed)
    source, other = (torch.randn(1, 6, 8, 2, generator=generator) for _ in range(2))
    return torch.view_as_complex(source + other), torch.view_as_complex(source)


def pooled(values: Tensor) -> Tensor:
    return torch.stack([values[..., a:b].sum(-1) for a, b in BANDS], dim=-1)


def energies_of(mixture: Tensor, source: Tensor) -> BandEnergies:
    return BandEnergies(
        pooled(mixture.abs().square())[:, None],
        pooled((mixture.conj() * source).real)[:, None],
        source.abs().square().sum((1, 2))[:, None],
    )


def test_log_error_is_the_error_of_the_whole_spectrum() -> None:
    mixture, source = spectra(0)
    mask = torch.rand(1, 1, 6, 3, generator=torch.Generator().manual_seed(1))
    widths = torch.tensor([b - a for a, b in BANDS])
    estimate = mask[:, 0].repeat_interleave(widths, dim=-1) * mixture
    ratio = (estimate - source).abs().square().sum() / source.abs().square().sum()
    expected = 10 * math.log10(ratio + 1e-3)
    found = log_error(mask, energies_of(mixture, source))
    assert found.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.0])
def test_an_absent_sound_is_scored_by_what_is_left(gain: float) -> None:
    mixture, _ = spectra(2)
    mask = torch.full((1, 1, 6, 3), gain)
    found = log_error(mask, energies_of(mixture, torch.zeros_like(mixture)))
    assert found.item() == pytest.approx(10 * math.log10(gain**2 + 1e-3), abs=1e-4)


def test_the_ideal_mask_is_the_best() -> None:
    mixture, source = spectra(3)
    energies = energies_of(mixture, source)
    ideal = (energies.cross / energies.mixture).clamp(1e-4, 1 - 1e-4)
    best, least = log_error(ideal, energies), mask_error(ideal, energies)
    generator = torch.Generator().manual_seed(4)
    for _ in range(20):
        near = (ideal + 0.2 * torch.randn(ideal.shape, generator=generator)).clamp(0.001, 0.999)
        assert log_error(near, energies) >= best - 1e-5
        assert mask_error(near, energies) >= least - 1e-5


def test_loudness_does_not_matter() -> None:
    mixture, source = spectra(5)
    mask = torch.rand(1, 1, 6, 3, generator=torch.Generator().manual_seed(6))
    soft, loud = energies_of(mixture, source), energies_of(100 * mixture, 100 * source)
    torch.testing.assert_close(log_error(mask, soft), log_error(mask, loud), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mask_error(mask, soft), mask_error(mask, loud), atol=1e-4, rtol=1e-4)
