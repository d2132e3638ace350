"""CLAPSep's loss against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from soloist.training.clapsep_losses import clapsep_loss, si_snr, snr

TIME = 2 * math.pi * torch.arange(1000) / 1000
TARGET, NOISE = torch.sin(5 * TIME), torch.cos(9 * TIME)  # orthogonal, of power 1/2, without means


@given(gain=st.floats(0.05, 3), noise=st.floats(0.05, 3), mean=st.floats(-1, 1))
def test_ratios_of_a_tone_in_another(gain: float, noise: float, mean: float) -> None:
    estimate = gain * TARGET + noise * NOISE + mean
    error = (1 - gain) ** 2 + noise**2 + 2 * mean**2
    expected = -10 * math.log10(error)
    assert snr(estimate, TARGET).item() == pytest.approx(expected, abs=1e-2)
    free = 20 * math.log10(gain / noise)
    assert si_snr(estimate, TARGET).item() == pytest.approx(free, abs=1e-2)
    assert si_snr(estimate, 3 * TARGET + 1).item() == pytest.approx(free, abs=1e-2)
    loss = clapsep_loss(estimate, TARGET).item()
    assert loss == pytest.approx(-0.9 * expected - 0.1 * free, abs=1e-2)


def test_the_loss_is_the_mean_over_all_sounds() -> None:
    estimates = torch.stack([TARGET + level * NOISE for level in (0.1, 0.2, 0.5, 1.0)])
    targets = TARGET.expand_as(estimates)
    each = [clapsep_loss(one, TARGET) for one in estimates]
    found = clapsep_loss(estimates.unflatten(0, (2, 2)), targets.unflatten(0, (2, 2)))
    torch.testing.assert_close(found, torch.stack(each).mean())


@pytest.mark.parametrize("estimate", [torch.zeros(1000), TARGET])
def test_silence_is_no_trouble(estimate: Tensor) -> None:
    """What is heard of a silent target costs, the less the better; gradients are numbers."""
    guess = estimate.clone().requires_grad_()
    loss = clapsep_loss(guess, torch.zeros(1000))
    loss.backward()
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()
    assert math.isfinite(loss.item())
    assert clapsep_loss(0.5 * TARGET, torch.zeros(1000)) < clapsep_loss(TARGET, torch.zeros(1000))
