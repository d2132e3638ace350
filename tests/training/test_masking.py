"""Random masks: smooth, of every depth, and the same by the same chance."""

import torch

from soloist.separators.bimodal import BIMODAL_FRONT
from soloist.training.masking import behind_masks, led_masks, random_masks

CPU = torch.device("cpu")


def test_masks_are_smooth_and_of_every_depth() -> None:
    torch.manual_seed(1)
    for finest in (3, 40):
        masks = random_masks(50, 512, 64, finest, CPU)
        assert masks.shape == (50, 512, 64)
        assert masks.min() >= 0 and masks.max() <= 1
        assert (masks < 0.05).float().mean() > 0.05 and (masks > 0.95).float().mean() > 0.05
        assert abs(masks.mean().item() - 0.5) < 0.1
        steepest = masks.diff(dim=1).abs().max()
        # a logit changes by some 6 gains from cell to cell
        assert steepest < 6 * 3.0 / 4 * finest / 512


def test_they_differ_from_each_other_and_not_by_the_same_seed() -> None:
    torch.manual_seed(2)
    one, later = random_masks(2, 64, 32, 9, CPU), random_masks(2, 64, 32, 9, CPU)
    torch.manual_seed(2)
    again = random_masks(2, 64, 32, 9, CPU)
    assert torch.equal(one, again)
    assert not torch.equal(one, later) and not torch.equal(one[0], one[1])


def test_a_mask_is_that_of_all_sounds_of_an_example() -> None:
    torch.manual_seed(4)
    one = torch.randn(2, 1, 9000)
    torch.manual_seed(5)
    both = behind_masks(torch.cat([one, 3 * one], 1))
    torch.testing.assert_close(both[:, 1], 3 * both[:, 0], atol=1e-4, rtol=1e-4)
    assert both.shape == (2, 2, 9000)
    assert both[:, 0].square().mean() < 0.9 * one.square().mean()


def test_led_masks_open_where_it_pleases_and_close_where_it_does_not() -> None:
    """What is disliked is sound above 4 kHz, and quiet below it."""
    torch.manual_seed(6)
    spectra = BIMODAL_FRONT.analyse(torch.randn(2, 16_000))
    _, bins, frames = spectra.shape

    def dislike(masked: torch.Tensor) -> torch.Tensor:
        power = torch.fft.rfft(masked).abs().square()
        above_less_below: torch.Tensor = power[:, 4000:].mean() - power[:, :4000].mean()
        return above_less_below

    masks = random_masks(2, bins, frames, 9, CPU)
    below, above = slice(8, 3 * bins // 8), slice(5 * bins // 8, -8)
    lengths = []
    for _ in range(20):
        led = led_masks(masks, spectra, dislike, 16_000)
        assert led.shape == masks.shape and not led.requires_grad
        assert led.min() >= 0 and led.max() <= 1
        from_halves = torch.logit(led).abs()
        length = from_halves.median()
        if ((from_halves - length).abs() < 1e-3).float().mean() > 0.9:
            lengths.append(length.item())
            before = torch.full_like(masks, 0.5)
        else:
            before = masks
        assert (led >= before - 0.02)[:, below].float().mean() > 0.9
        assert (led <= before + 0.02)[:, above].float().mean() > 0.9
        assert (led - before)[:, below].mean() > 0 > (led - before)[:, above].mean()
    assert 4 < len(lengths) < 16
    assert 0 < min(lengths) < 0.5 and 1.5 < max(lengths) <= 2
