"""Remixing what a separator found: closed forms, and who may meet whom."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from soloist.training.remixing import LEVELS_DB, at_random_levels, estimates, partners


def test_mixtures_are_shared_out_by_masks_made_less_sure() -> None:
    mixtures = torch.tensor([3.0 + 6.0j, -2.0j, 5.0, 1.0]).reshape(1, 1, 4)
    masks = torch.tensor([[0.8, 0.5, 1.0, 0.0], [0.2, 0.5, 0.0, 0.0]]).reshape(1, 2, 1, 4)
    found = estimates(masks, mixtures)[0, :, 0]
    torch.testing.assert_close(found.sum(0), mixtures[0, 0])
    # the odds of 0.8 are 4, half as sure they are 2
    torch.testing.assert_close(found[0, :2], torch.tensor([2.0 + 4.0j, -1.0j]))
    assert abs(found[0, 2]) > 0.99 * 5 and abs(found[1, 2]) < 0.01 * 5
    assert torch.isfinite(torch.view_as_real(found)).all()


@given(
    st.integers(1, 9).flatmap(
        lambda rows: st.tuples(
            st.lists(st.permutations(range(5)), min_size=rows, max_size=rows),
            st.lists(st.integers(0, 2), min_size=rows, max_size=rows),
        )
    ),
    st.integers(2, 4),
    st.integers(0, 99),
)
def test_sounds_meet_others_of_their_place_and_never_their_own_kind(
    drawn: tuple[list[list[int]], list[int]], sounds: int, seed: int
) -> None:
    phrases, places = torch.tensor(drawn[0])[:, :sounds], torch.tensor(drawn[1])
    torch.manual_seed(seed)
    chosen = partners(phrases, places)
    assert chosen.shape == phrases.shape
    assert torch.equal(chosen[:, 0], torch.arange(len(phrases)))
    assert torch.equal(places[chosen], places[:, None].expand_as(chosen))
    for row in phrases.gather(0, chosen).tolist():
        assert len(set(row)) == sounds


def test_of_many_mixtures_most_sounds_come_from_others() -> None:
    torch.manual_seed(1)
    phrases = torch.arange(400).reshape(200, 2)  # all different: nothing stays for that
    chosen = partners(phrases, torch.arange(200) % 2)
    assert torch.equal(chosen[:, 1].sort().values, torch.arange(200))
    assert (chosen[:, 1] != torch.arange(200)).float().mean() > 0.9


def test_a_mixture_s_sounds_become_louder_or_quieter_together() -> None:
    torch.manual_seed(1)
    sounds = torch.randn(500, 2, 3, 4, dtype=torch.complex64)
    gains = at_random_levels(sounds) / sounds
    torch.testing.assert_close(gains, gains[:, :1, :1, :1].expand_as(gains))
    levels = 20 * np.log10(gains[:, 0, 0, 0].abs().numpy())
    assert np.isclose([levels.min(), levels.max()], LEVELS_DB, atol=0.2).all()
