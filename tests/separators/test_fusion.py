"""Where the query comes in: late, early, in the middle, or not at all; and what all share."""

from collections.abc import Iterator
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from soloist.separators.clipsep import CLIPSep
from soloist.separators.columns import Span
from soloist.separators.early_fusion import EarlyFusion
from soloist.separators.labelsep import LabelSep
from soloist.separators.log_picture import Geometry
from soloist.separators.middle_fusion import MiddleFusion
from soloist.separators.pit import PIT
from soloist.separators.spectrogram import Spectrogram
from soloist.separators.unet import UNet, initialise

SMALL = Geometry(Spectrogram(16_000, 128, 32, 1023, "zeros"), rows=32, maps=6, levels=5)


Network = TypeVar("Network", bound=nn.Module)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.no_grad():
        yield


def lively(network: Network) -> Network:
    """Weights that keep signals alive through all levels, statistics that are not the default."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            module.bias.normal_(0, 0.1)
    return network.eval()


def clips(batch: int) -> Tensor:
    return torch.randn(batch, SMALL.front.bins, SMALL.front.frames, 2)


@pytest.mark.parametrize("kind", [CLIPSep, EarlyFusion, MiddleFusion])
def test_queries_and_batches_do_not_meet(kind: type[CLIPSep]) -> None:
    network = lively(kind(SMALL))
    spectrogram, words = clips(2), network.condition(4 * torch.randn(3, 512))
    masks = network(spectrogram, words)
    assert masks.shape == (2, 3, SMALL.front.bins, SMALL.front.frames, 1)
    assert masks.std() > 0.02
    for clip in range(2):
        for query in range(3):
            alone = network(spectrogram[clip : clip + 1], words[query : query + 1])
            torch.testing.assert_close(masks[clip, query], alone[0, 0], atol=1e-5, rtol=0)
    assert (masks[:, 0] - masks[:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [CLIPSep, EarlyFusion, MiddleFusion])
@pytest.mark.parametrize("span", [(0, 32), (24, 32), (31, 32), (0, 3), (13, 20)])
def test_live_frames_are_those_of_the_whole_clip(
    kind: type[CLIPSep], span: tuple[int, int]
) -> None:
    network = lively(kind(SMALL))
    spectrogram, words = clips(2), network.condition(4 * torch.randn(3, 512))
    whole = network(spectrogram, words)
    live = network.live(Span(*span, SMALL.front.frames))
    expected = whole[:, :, :, span[0] : span[1]]
    torch.testing.assert_close(live(spectrogram, words), expected, atol=1e-5, rtol=0)


def test_early_fusion_is_a_picture_with_planes_of_gates() -> None:
    network = lively(EarlyFusion(SMALL))
    spectrogram, embedding = clips(1), torch.randn(1, 512)
    gates = torch.sigmoid(
        functional.linear(embedding, **dict(network.frame_net["fc"].named_parameters()))
    )
    planes = gates[0, :, None, None] * torch.ones(6, SMALL.rows, SMALL.front.frames)
    joined = torch.cat([network.picture(spectrogram), planes[None]], dim=1)
    expected = network.picture.masks(network.sound_net(joined))
    torch.testing.assert_close(network(spectrogram, network.condition(embedding)), expected)


def test_middle_fusion_hears_gates_in_the_innermost_maps() -> None:
    unet = lively(UNet(1, 1, 5, extra=6, named=True))
    picture, gates = torch.randn(1, 1, 64, 32), torch.rand(1, 6)
    halved = unet.encode(picture)
    inner = unet.levels[-1]
    joined = torch.cat([halved[-1], gates[..., None, None].expand(-1, -1, 2, 1)], dim=1)
    from_inside = inner.up(joined)
    assert from_inside.shape == (1, 512, 4, 2)
    for level, skip in zip(unet.levels[3::-1], halved[3::-1], strict=True):
        from_inside = level.up(torch.cat([skip, from_inside], dim=1))
    torch.testing.assert_close(unet(picture, gates), from_inside)


def test_pit_reads_two_sources_off_the_maps() -> None:
    network = lively(PIT(SMALL))
    spectrogram = clips(2)
    expected = network.synth_net(network.sound_net(network.picture(spectrogram)))
    masks = network(spectrogram, network.sources)
    torch.testing.assert_close(masks, network.picture.masks(expected), atol=1e-5, rtol=1e-4)


def test_a_label_is_a_row() -> None:
    network = lively(LabelSep(SMALL, 4))
    rows = network.condition(network.label_net(torch.tensor([2, 0])))
    torch.testing.assert_close(rows[0], network.condition(network.label_net.weight[2]))


def test_initial_weights() -> None:
    network = CLIPSep(SMALL)
    initialise(network)
    assert network.frame_net.weight.std() == pytest.approx(1e-4, rel=0.1)
    kernel = network.sound_net.levels[2].part("upconv").get_parameter("weight")
    assert kernel.std() == pytest.approx(1e-3, rel=0.1)


def test_a_picture_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="33 frames"):
        UNet(1, 1, 5).encode(torch.zeros(1, 1, 32, 33))
    with pytest.raises(ValueError, match="at least 5"):
        UNet(1, 1, 4)
