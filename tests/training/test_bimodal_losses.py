"""The losses of the bi-modal separator, by their formulas, summed cell by cell."""

import math

import pytest
import torch

from soloist.training.bimodal_losses import (
    by_share,
    consistency,
    contrastive,
    energies,
    loudness,
    reconstruction,
    shared_out,
    total,
)

BATCH, MIXTURES, PHRASES, BINS, FRAMES = 2, 2, 3, 4, 5


def cells(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.rand(*shape, BINS, FRAMES, generator=generator, dtype=torch.float64)


def weight(magnitude: float) -> float:
    return min(max(math.log(1 + magnitude), 1e-3), 10.0)


@pytest.mark.parametrize(("magnitude", "expected"), [(0.0, 1e-3), (1.0, math.log(2)), (1e6, 10.0)])
def test_loudness_is_kept_within_bounds(magnitude: float, expected: float) -> None:
    assert loudness(torch.tensor(magnitude, dtype=torch.float64)).item() == pytest.approx(expected)


def test_reconstruction_is_weighted_by_the_mixture() -> None:
    masks = cells(BATCH, MIXTURES, seed=1)
    mixture = cells(BATCH, seed=2, scale=3)
    targets = cells(BATCH, MIXTURES, seed=3)
    expected = 0.0
    for n in range(MIXTURES):
        terms = [
            weight(x) * abs(m * x - s)
            for b in range(BATCH)
            for x, m, s in zip(
                mixture[b].flatten().tolist(),
                masks[b, n].flatten().tolist(),
                targets[b, n].flatten().tolist(),
                strict=True,
            )
        ]
        expected += sum(terms) / len(terms)
    assert reconstruction(masks, mixture, targets).item() == pytest.approx(expected)


def test_consistency_adds_the_phrases_up_and_is_weighted_by_the_target() -> None:
    masks = cells(BATCH, MIXTURES, PHRASES, seed=4)
    mixture = cells(BATCH, seed=5, scale=3)
    targets = cells(BATCH, MIXTURES, seed=6)
    shares = torch.tensor([[[1, 1, 1], [1, 0.5, 0.5]], [[0.5, 0.5, 1], [1, 1, 1]]]).double()
    expected = 0.0
    for n in range(MIXTURES):
        terms = []
        for b in range(BATCH):
            for i in range(BINS):
                for j in range(FRAMES):
                    mask = sum(
                        float(shares[b, n, k] * masks[b, n, k, i, j]) for k in range(PHRASES)
                    )
                    target = float(targets[b, n, i, j])
                    terms.append(weight(target) * abs(mask * float(mixture[b, i, j]) - target))
        expected += sum(terms) / len(terms)
    assert consistency(masks, shares, mixture, targets).item() == pytest.approx(expected)


@pytest.mark.parametrize("counted", [False, True])
def test_contrastive_pulls_each_sound_to_its_own_phrase(counted: bool) -> None:
    generator = torch.Generator().manual_seed(7)
    shape = BATCH, MIXTURES, PHRASES, 6
    sounds, phrases = (
        torch.nn.functional.normalize(
            torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1
        )
        for _ in range(2)
    )
    scale = torch.tensor(1.3, dtype=torch.float64)
    counts = torch.rand(shape[:3], generator=generator, dtype=torch.float64) if counted else None
    expected = 0.0
    for n in range(MIXTURES):
        pairs = [(b, k) for b in range(BATCH) for k in range(PHRASES)]
        for b, k in pairs:
            scores = {
                other: math.exp(1.3) * float(sounds[b, n, k] @ phrases[other[0], n, other[1]])
                for other in pairs
            }
            normaliser = math.log(sum(math.exp(score) for score in scores.values()))
            count = 1.0 if counts is None else float(counts[b, n, k])
            expected += count * (normaliser - scores[b, k]) / len(pairs)
    assert contrastive(sounds, phrases, scale, counts).item() == pytest.approx(expected)


def test_a_captioned_mixture_is_shared_out_whole() -> None:
    masks = cells(BATCH, MIXTURES, PHRASES, seed=9)
    masks[0, 1] = 0.0
    spectra = torch.complex(cells(BATCH, MIXTURES, seed=10), cells(BATCH, MIXTURES, seed=11))
    shared = shared_out(masks, spectra)
    torch.testing.assert_close(shared[1].sum(1), spectra[1], rtol=0.05, atol=0)
    torch.testing.assert_close(shared[1, :, 0] * masks[1, :, 1], shared[1, :, 1] * masks[1, :, 0])
    assert shared[0, 1].abs().max() == 0
    assert energies(torch.zeros_like(shared)).abs().max() == 0


def test_a_perfect_ear_is_not_pleased_by_few_sure_cells_that_count_little() -> None:
    """One sound in three cells, another in four, one of which both share; an ear for shares."""
    sounds = torch.tensor([[3.0, 3, 2, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 0.5]]).double()
    mixture = sounds.sum(0)

    def heard(masks: torch.Tensor) -> torch.Tensor:
        """-ln of the share of each extracted sound's energy that is its own."""
        parts = (masks[:, None] * sounds[None]).square().sum(-1)
        return -(parts.diagonal() / parts.sum(-1)).log()

    def by_shares(masks: torch.Tensor) -> float:
        part = shared_out(masks[None, None, ..., None], mixture[None, None, :, None] + 0j)
        return float((heard(masks) * energies(part)[0, 0]).mean())

    right = sounds / mixture
    few = torch.tensor([[1.0] * 6 + [0.0], [0.0] * 6 + [1.0]]).double()
    assert float(heard(few).mean()) < 1.2 * float(heard(right).mean())
    assert by_shares(few) > 5 * by_shares(right)


def test_the_gradient_of_what_a_sound_counts_is_that_of_its_energy() -> None:
    levels = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    counts = energies((levels[:, None, None] * torch.ones(2, 2, 3))[None, None] + 0j)
    torch.testing.assert_close(counts[0, 0], torch.tensor([0.2, 1.8]).double())
    counts[0, 0, 1].backward()
    torch.testing.assert_close(levels.grad, torch.tensor([0.0, 2 * 3 / 5]).double())


def test_silence_and_closed_masks_have_a_gradient() -> None:
    for opened, level in ((0.0, 1.0), (0.5, 0.0)):
        masks = torch.full((1, 1, 2, BINS, FRAMES), opened, requires_grad=True)
        spectra = torch.full((1, 1, BINS, FRAMES), level) + 0j
        (1e3 * energies(shared_out(masks, spectra))).sum().backward()
        assert masks.grad is not None and masks.grad.isfinite().all()


def test_a_mixture_is_as_close_to_phrases_as_their_sounds_are_loud() -> None:
    generator = torch.Generator().manual_seed(8)
    sounds, phrases = (
        torch.nn.functional.normalize(
            torch.randn(rows, 6, generator=generator, dtype=torch.float64), dim=-1
        )
        for rows in (3, 4)
    )
    shares = torch.tensor([[1, 0, 0, 0], [0, 0.8, 0.2, 0], [0.5, 0, 0, 0.5]], dtype=torch.float64)
    expected = 0.0
    for sound, share in zip(sounds, shares, strict=True):
        scores = [math.exp(1.3) * float(sound @ phrase) for phrase in phrases]
        normaliser = math.log(sum(map(math.exp, scores)))
        expected += sum(float(s) * (normaliser - n) for s, n in zip(share, scores, strict=True)) / 3
    scale = torch.tensor(1.3, dtype=torch.float64)
    assert by_share(sounds, phrases, shares, scale).item() == pytest.approx(expected)
    # no better than when the odds are the shares
    alone = torch.eye(4, dtype=torch.float64)
    aimed = torch.tensor([[-50.0, math.log(0.8), math.log(0.2), -50.0]], dtype=torch.float64)
    least = by_share(aimed, alone, shares[1:2], torch.zeros(()).double())
    assert least.item() == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2))


def test_the_total_weighs_them_as_published() -> None:
    parts = [torch.tensor(x) for x in (1.0, 2.0, 4.0)]
    assert total(*parts).item() == pytest.approx(0.5 * 4 + 5 * (1 + 2))
