"""The bi-modal separator: the published arithmetic, and what does not depend on what."""

import pytest
import torch
from torch import Tensor

from soloist.separators.bimodal import BiModal, BiModalConfig, batch_statistics
from soloist.separators.bimodal_live import BiModalLive
from soloist.separators.columns import Span
from soloist.separators.spectrogram import Spectrogram

FRAMES = 64
FRONT = Spectrogram(16_000, 62, 16, FRAMES * 16 - 1, "reflect")  # 32 bins
SMALL = BiModalConfig(base=2, levels=5, attending=2, maps=5, words=6, embedding=7, front=FRONT)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> BiModal:
    torch.manual_seed(7)
    network = BiModal(SMALL)
    for module in network.modules():  # as if trained: norms that do something
        if isinstance(module, torch.nn.BatchNorm2d):
            for value, low, high in [("running_mean", -0.2, 0.2), ("running_var", 0.1, 0.5)]:
                torch.nn.init.uniform_(module.get_buffer(value), low, high)
    torch.nn.init.normal_(network.net_synthesizer.scale, std=8)
    return network.eval()


@pytest.fixture(scope="module")
def sound() -> Tensor:
    """Spectrograms of two clips."""
    return noise(2, 32, FRAMES, 2)


def words(network: BiModal, rows: int, seed: int = 1) -> Tensor:
    """Conditioning of a made-up text of `rows` distinct tokens."""
    tokens = noise(rows, SMALL.words, seed=seed)
    counts = torch.tensor([1.0] * (rows - 1) + [78.0 - rows])
    return network.condition(tokens, counts, noise(SMALL.embedding, seed=seed + 50))


@torch.no_grad()
@pytest.mark.parametrize("span", [(0, 8), (56, 64), (17, 22), (31, 32), (1, 63)])
def test_a_few_frames_are_those_of_the_whole(
    network: BiModal, sound: Tensor, span: tuple[int, int]
) -> None:
    conditioning = words(network, 4)[None]
    whole = network(sound, conditioning)
    assert whole.std() > 0.05
    found = BiModalLive(network, Span(*span, FRAMES))(sound, conditioning)
    torch.testing.assert_close(found, whole[..., slice(*span), :], atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_few_frames_of_several_clips_and_queries(network: BiModal, sound: Tensor) -> None:
    queries = torch.stack([words(network, 5, seed=seed) for seed in (1, 2, 3)])
    expected = network(sound, queries)[:, :, :, 50:60]
    found = BiModalLive(network, Span(50, 60, FRAMES))(sound, queries)
    assert (found[:, 0] - found[:, 1]).abs().max() > 0.05
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_queries_do_not_see_each_other(network: BiModal, sound: Tensor) -> None:
    queries = torch.stack([words(network, 5, seed=seed) for seed in (1, 2, 3)])
    together = network(sound, queries)
    assert (together[:, 0] - together[:, 1]).abs().max() > 0.05
    for i, query in enumerate(queries):
        alone = network(sound, query[None])[:, 0]
        torch.testing.assert_close(together[:, i], alone, atol=1e-6, rtol=0)


@torch.no_grad()
def test_each_member_of_a_batch_can_have_its_own_words(network: BiModal, sound: Tensor) -> None:
    own = torch.stack([words(network, 5, seed=seed) for seed in (1, 2)])[:, None]
    together = network(sound, own)
    for i in range(2):
        alone = network(sound[i : i + 1], own[i])[0]
        torch.testing.assert_close(together[i], alone, atol=1e-6, rtol=0)


@torch.no_grad()
def test_equal_positions_weigh_as_one_with_the_ln_of_their_count(
    network: BiModal, sound: Tensor
) -> None:
    tokens = noise(5, SMALL.words)
    embedding = noise(SMALL.embedding)
    spread = network.condition(tokens[[0, 1, 2, 3, 4, 4, 4]], torch.ones(7), embedding)
    collapsed = network.condition(tokens, torch.tensor([1.0, 1, 1, 1, 3]), embedding)
    expected, found = network(sound, spread[None]), network(sound, collapsed[None])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    dropped = network.condition(tokens[:4], torch.ones(4), embedding)
    assert (network(sound, dropped[None]) - expected).abs().max() > 1e-4


@torch.no_grad()
def test_fillers_make_texts_equally_long_and_nothing_else(network: BiModal, sound: Tensor) -> None:
    short = words(network, 3)
    tokens = torch.cat([noise(3, SMALL.words, seed=1), torch.zeros(4, SMALL.words)])
    counts = torch.tensor([1.0, 1, 75, 0, 0, 0, 0])
    filled = network.condition(tokens, counts, noise(SMALL.embedding, seed=51))
    assert len(filled) == len(short) + 4 * SMALL.row_size
    expected, found = network(sound, short[None]), network(sound, filled[None])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_attending_levels_are_equally_wide() -> None:
    with pytest.raises(ValueError, match=r"3 of 5 levels attend; .* all but the first three"):
        BiModalConfig(levels=5, attending=3)


def test_conditioning_of_another_network_is_refused(network: BiModal, sound: Tensor) -> None:
    with pytest.raises(ValueError, match=r"conditioning of 100 numbers is not this network's"):
        network(sound, torch.zeros(1, 100))


@torch.no_grad()
def test_batch_statistics_leave_the_network_as_it_was(network: BiModal, sound: Tensor) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    conditioning = words(network, 4)[None]
    expected = network(sound, conditioning)
    with batch_statistics(network):
        published = network(sound, conditioning)
    assert (published - expected).abs().max() > 0.01
    assert torch.equal(network(sound, conditioning), expected)
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
