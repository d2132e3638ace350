"""Several solo networks as one: the mean of their logits, in a stream as over a recording."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from soloist.separators.solo import Solo, SoloConfig
from soloist.separators.solo_ensemble import SoloEnsemble

SMALL = SoloConfig(width=24, memory=16, blocks=2, patch_width=8, maps=12, embedding=10)
OTHER = replace(SMALL, width=32, memory=8, blocks=3, patch_width=4, maps=7)


@pytest.fixture(scope="module")
def ensemble() -> SoloEnsemble:
    torch.manual_seed(3)
    return SoloEnsemble([Solo(SMALL), Solo(OTHER), Solo(SMALL)]).eval()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@torch.no_grad()
def test_its_logits_are_the_mean_of_its_members(ensemble: SoloEnsemble) -> None:
    power, words = 1e6 * draw(2, 9, ensemble.bands).square(), draw(3, 10)
    each = []
    for member in ensemble.members:
        maps, _ = member.trunk(power, member.initial_state(2))
        each.append(member.logits(maps, member.condition(words)))
    maps, _ = ensemble.trunk(power, ensemble.initial_state(2))
    found = ensemble.logits(maps, ensemble.condition(words))
    torch.testing.assert_close(found, torch.stack(each).mean(0), atol=1e-5, rtol=1e-5)
    assert (found - each[0]).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[1] * 20, [7, 1, 12]], ids=["hops", "odd"])
def test_any_chunking_is_one_pass(ensemble: SoloEnsemble, chunks: list[int]) -> None:
    spectrum, words = draw(2, 20, SMALL.frontend.bins, 2), ensemble.condition(draw(2, 10))
    whole, last = ensemble(spectrum, words, ensemble.initial_state(2))
    state, stems = ensemble.initial_state(2), []
    for chunk in spectrum.split(chunks, dim=1):
        stem, state = ensemble(chunk, words, state)
        stems.append(stem)
    torch.testing.assert_close(torch.cat(stems, dim=2), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "change",
    [{"hop": 256}, {"patch": 8, "patch_reach": 8}, {"smoothing": (4.0,)}, {"embedding": 9}],
)
def test_members_that_hear_or_are_asked_otherwise_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="of the same bands"):
        SoloEnsemble([Solo(SMALL), Solo(replace(SMALL, **change))])  # type: ignore[arg-type]


def test_one_network_is_no_ensemble() -> None:
    with pytest.raises(ValueError, match="two networks or more"):
        SoloEnsemble([Solo(SMALL)])
