"""The hop that is exported computes what the network computes, frame by frame."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from soloist.export.solo_hop import SoloHop
from soloist.separators.checkpoints import load_solo
from soloist.separators.solo import Solo, SoloConfig

SMALL = SoloConfig(width=48, memory=40, blocks=2, patch_width=16, maps=24, embedding=12)


def networks() -> dict[str, Solo]:
    torch.manual_seed(1)
    configs = {
        "small": SMALL,
        "no overlap of patches": replace(SMALL, patch_reach=4),
        "wide patches": replace(SMALL, patch=8, patch_reach=16, smoothing=(3.0,)),
    }
    made = {name: Solo(config).eval() for name, config in configs.items()}
    for network in made.values():
        for weights in network.parameters():  # none of them may be zero, or it could be forgotten
            torch.nn.init.normal_(weights, std=0.3)
    trained = load_solo(Path(__file__).parents[2] / "training/checkpoints/solo.pt")
    return made | {"trained": trained.network}


NETWORKS = networks()


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("channels", "queries"), [(1, 1), (2, 3)])
def test_each_frame_is_that_of_the_network(name: str, channels: int, queries: int) -> None:
    network = NETWORKS[name]
    hop = SoloHop(network)
    words = torch.randn(queries, network.config.embedding)
    conditioning = network.condition(torch.nn.functional.normalize(words, dim=-1))
    level = torch.exp(3 * torch.randn(40, channels, 1, 1))  # whispers and shouts
    frames = level * torch.randn(40, channels, network.config.frontend.bins, 2)
    expected, _ = network(frames.movedim(0, 1), conditioning, network.initial_state(channels))
    state = torch.zeros(channels, hop.state_size)
    for at, frame in enumerate(frames):
        stems, state = hop(frame, conditioning, state)
        difference = (stems - expected[:, :, at]) / level[at].unsqueeze(1)
        assert difference.abs().max() < 1e-4


@torch.no_grad()
def test_silence_is_the_same_too() -> None:
    network = NETWORKS["trained"]
    hop = SoloHop(network)
    conditioning = network.condition(torch.randn(1, network.config.embedding))
    silence = torch.zeros(1, network.config.frontend.bins, 2)
    stems, state = hop(silence, conditioning, torch.zeros(1, hop.state_size))
    assert stems.abs().max() == 0.0
    assert state.isfinite().all()
