"""The losses of the bi-modal separator, by their formulas, summed cell by cell."""

import math

import pytest
import torch

from soloist.training.bimodal_losses import (
    by_share,
    consistency,
    contrastive,
    loudness,
    reconstruction,
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


def test_contrastive_pulls_each_sound_to_its_own_phrase() -> None:
    generator = torch.Generator().manual_seed(7)
    shape = BATCH, MIXTURES, PHRASES, 6
    sounds, phrases = (
        torch.nn.functional.normalize(
            torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1
        )
        for _ in range(2)
    )
    scale = torch.tensor(1.3, dtype=torch.float64)
    expected = 0.0
    for n in range(MIXTURES):
        pairs = [(b, k) for b in range(BATCH) for k in range(PHRASES)]
        for b, k in pairs:
            scores = {
                other: math.exp(1.3) * float(sounds[b, n, k] @ phrases[other[0], n, other[1]])
                for other in pairs
            }
            normaliser = math.log(sum(math.exp(score) for score in scores.values()))
            expected += (normaliser - scores[b, k]) / len(pairs)
    assert contrastive(sounds, phrases, scale).item() == pytest.approx(expected)


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
