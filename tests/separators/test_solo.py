"""The solo network: causal, one code for a hop and a recording, words that never touch the past."""

import numpy as np
import pytest
import torch
from torch import Tensor

from soloist.runtime.frames import Frames, analysis_window, synthesis_window
from soloist.separators.frontend import FrontEnd, band_edges
from soloist.separators.recurrence import scan
from soloist.separators.solo import Solo, SoloConfig

SMALL = SoloConfig(
    n_fft=256,
    hop=32,
    linear_bands=8,
    band_growth=0.15,
    patch=4,
    patch_width=8,
    width=24,
    memory=16,
    blocks=2,
    maps=12,
    embedding=10,
)


@pytest.fixture(scope="module")
def network() -> Solo:
    torch.manual_seed(3)
    return Solo(SMALL).eval()


def spectra(frames: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    return torch.randn(batch, frames, SMALL.frontend.bins, 2, generator=generator)


def words(network: Solo, queries: int) -> Tensor:
    generator = torch.Generator().manual_seed(queries)
    return network.condition(torch.randn(queries, SMALL.embedding, generator=generator))


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[1] * 40, [7, 1, 20, 12], [39, 1]], ids=["hops", "odd", "tail"])
def test_any_chunking_is_one_pass(network: Solo, chunks: list[int]) -> None:
    x, query = spectra(40), words(network, 3)
    whole, last = network(x, query, network.initial_state(2))
    state, stems = network.initial_state(2), []
    for chunk in x.split(chunks, dim=1):
        stem, state = network(chunk, query, state)
        stems.append(stem)
    torch.testing.assert_close(torch.cat(stems, dim=2), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_future_is_not_heard(network: Solo) -> None:
    x, query = spectra(30), words(network, 1)
    changed = x.clone()
    changed[:, 20:] *= -3
    before, _ = network(x, query, network.initial_state(2))
    after, _ = network(changed, query, network.initial_state(2))
    assert torch.equal(before[:, :, :20], after[:, :, :20])
    assert not torch.equal(before[:, :, 20:], after[:, :, 20:])


@torch.no_grad()
def test_the_state_does_not_depend_on_the_words(network: Solo) -> None:
    x = spectra(10)
    _, one = network(x, words(network, 1), network.initial_state(2))
    _, three = network(x, words(network, 3), network.initial_state(2))
    assert torch.equal(one, three)


@torch.no_grad()
def test_masks_and_residual_share_every_bin(network: Solo) -> None:
    x = spectra(12)
    stems, _ = network(x, words(network, 4), network.initial_state(2))
    masks = stems / x[:, None]
    torch.testing.assert_close(masks[..., 0], masks[..., 1], atol=1e-4, rtol=1e-3)
    assert masks.min() >= 0
    assert masks.sum(1).max() <= 1 + 1e-5


@torch.no_grad()
def test_extreme_logits_give_masks_not_nan() -> None:
    logits = torch.tensor([[-1e4, 1e4, 0.0], [1e4, 1e4, 0.0]])[None]
    expected = torch.tensor([[0, 0.5, 1 / 3], [1, 0.5, 1 / 3]])[None]
    torch.testing.assert_close(Solo.masks(logits), expected)


@torch.no_grad()
def test_folded_gates_equal_gating_the_maps(network: Solo) -> None:
    generator = torch.Generator().manual_seed(9)
    embedding = torch.randn(2, SMALL.embedding, generator=generator)
    power = torch.rand(1, 5, network.bands, generator=generator) * 1e6
    maps, _ = network.trunk(power, network.initial_state(1))
    gates = network.conditioner(embedding)
    expected = torch.empty(1, 2, 5, network.bands)
    for query in range(2):
        gated = maps * gates[query, :-1]
        bands = gated @ network.readout + gates[query, -1]
        expected[:, query] = bands.flatten(-2)
    found = network.logits(maps, network.condition(embedding))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_each_member_of_a_batch_can_have_its_own_words(network: Solo) -> None:
    maps, _ = network.trunk(torch.rand(2, 4, network.bands), network.initial_state(2))
    own = torch.stack([words(network, 3), words(network, 4)[:3]])
    together = network.logits(maps, own)
    for i in range(2):
        alone = network.logits(maps[i : i + 1], own[i])[0]
        torch.testing.assert_close(together[i], alone, atol=1e-5, rtol=1e-5)


def test_bands_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bands do not divide into patches of 7"):
        Solo(SoloConfig(patch=7))


def test_scan_is_the_loop_it_stands_for_and_so_are_its_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 9, 5), (2, 9, 5), (2, 5)
    inputs = [torch.rand(s, generator=generator, dtype=torch.float64) for s in shapes]
    keep, new, state = (x.clone().requires_grad_() for x in inputs)
    hidden, loop = state, []
    for t in range(9):
        hidden = keep[:, t] * hidden + new[:, t]
        loop.append(hidden)
    torch.testing.assert_close(scan(keep, new, state), torch.stack(loop, dim=1))
    assert torch.autograd.gradcheck(scan, (keep, new, state))


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 128), (256, 64), (512, 256)])
def test_front_end_is_the_engines(n_fft: int, hop: int) -> None:
    front, frames = FrontEnd(n_fft=n_fft, hop=hop), Frames(n_fft, hop)
    assert front.bins == frames.bins
    np.testing.assert_allclose(front.analysis_window(), analysis_window(frames), atol=1e-15)
    newest = synthesis_window(frames)[-2 * hop :]
    np.testing.assert_allclose(front.synthesis_window(), newest, atol=1e-12)


def test_analysis_and_synthesis_give_the_signal_back() -> None:
    front = FrontEnd(n_fft=512, hop=64)
    audio = torch.randn(2, 64 * 50, generator=torch.Generator().manual_seed(1))
    again = front.synthesise(front.analyse(audio))
    torch.testing.assert_close(again, audio[:, : again.shape[1]], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("bins", "linear", "growth"), [(513, 24, 0.0798), (129, 8, 0.15)])
def test_bands_cover_every_bin_once_and_widen(bins: int, linear: int, growth: float) -> None:
    edges = band_edges(bins, linear, growth)
    widths = np.diff(edges)
    assert edges[0] == 0
    assert edges[-1] == bins
    assert (widths[:linear] == 1).all()
    assert (widths >= 1).all()
    assert (np.diff(widths[:-1]) >= 0).all()
