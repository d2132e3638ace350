"""What a live window costs, in multiply-adds: at most three tenths of a whole one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from soloist.separators.bimodal import BiModal, BiModalConfig
from soloist.separators.bimodal_live import BiModalLive
from soloist.separators.clipsep import CLIP_SIZE, CLIPSep
from soloist.separators.columns import Span
from soloist.separators.early_fusion import EarlyFusion
from soloist.separators.log_picture import Geometry
from soloist.separators.middle_fusion import MiddleFusion
from soloist.separators.spectrogram import Spectrogram

ADVANCE, CROSSFADE = 16, 4
Forms = tuple[nn.Module, nn.Module, Spectrogram, Tensor]


def newest(front: Spectrogram) -> Span:
    return Span(front.frames - ADVANCE - CROSSFADE, front.frames, front.frames)


def fused(kind: Callable[[Geometry], CLIPSep | EarlyFusion | MiddleFusion]) -> Forms:
    network = kind(Geometry()).eval()
    front = network.geometry.front
    words = network.condition(torch.zeros(1, CLIP_SIZE))
    return network, network.live(newest(front)), front, words


def bimodal() -> Forms:
    config = BiModalConfig()
    network = BiModal(config).eval()
    rows = 6
    words = network.condition(
        torch.zeros(1, rows, config.words), torch.ones(1, rows), torch.zeros(1, config.embedding)
    )
    return network, BiModalLive(network, newest(config.front)), config.front, words


FORMS: dict[str, Callable[[], Forms]] = {
    "late": lambda: fused(CLIPSep),
    "early": lambda: fused(EarlyFusion),
    "middle": lambda: fused(MiddleFusion),
    "bimodal": bimodal,
}


@torch.no_grad()
@pytest.mark.parametrize("name", FORMS)
def test_sixteen_frames_cost_three_tenths_of_a_window_at_most(name: str) -> None:
    whole, live, front, words = FORMS[name]()
    counts = []
    for network, frames in ((whole, front.frames), (live, ADVANCE + CROSSFADE)):
        spectrogram = torch.empty(1, front.bins, front.frames, 2, device="meta")
        with FlopCounterMode(display=False) as counter:
            masks = network.to("meta")(spectrogram, words.to("meta"))
        assert masks.shape == (1, 1, front.bins, frames, 1)
        counts.append(counter.get_total_flops())
    assert counts[1] <= 0.3 * counts[0]
