"""What can be said of AudioSep without its authors' code: few frames, many queries, any length."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soloist.separators.audiosep import AUDIOSEP_FRONT, AudioSep
from soloist.separators.audiosep_whole import separate_recording
from soloist.separators.columns import Span

SMALL = replace(AUDIOSEP_FRONT, n_fft=256)
FRAMES = 70  # filled up to 96


@pytest.fixture(scope="module")
def network() -> AudioSep:
    torch.manual_seed(0)
    network = AudioSep(SMALL).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = 1 + torch.rand(module.num_features)
    return network


@pytest.fixture(scope="module")
def words(network: AudioSep) -> Tensor:
    embedding = torch.randn(2, 512, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.condition(nn.functional.normalize(embedding, dim=-1))


@torch.no_grad()
def test_a_few_frames_are_those_of_the_whole(network: AudioSep, words: Tensor) -> None:
    sound = torch.randn(1, 129, FRAMES, 2, generator=torch.Generator().manual_seed(2))
    whole = network(sound, words[:1])
    assert whole.shape == (1, 1, 129, FRAMES, 2)
    assert whole[..., :-1, :, :].std() > 0.05
    assert not whole[:, :, -1].any()
    for span in [(0, 5), (37, 44), (65, 70)]:
        found = network(sound, words[:1], Span(*span, FRAMES))
        torch.testing.assert_close(found, whole[:, :, :, slice(*span)], atol=1e-5, rtol=0)


@torch.no_grad()
def test_queries_and_channels_do_not_mix(network: AudioSep, words: Tensor) -> None:
    sounds = torch.randn(2, 129, 32, 2, generator=torch.Generator().manual_seed(3))
    together = network(sounds, words)
    assert together.shape == (2, 2, 129, 32, 2)
    for channel in range(2):
        for query in range(2):
            alone = network(sounds[[channel]], words[[query]])[0, 0]
            torch.testing.assert_close(together[channel, query], alone, atol=1e-5, rtol=0)
    assert (together[0, 0] - together[0, 1]).abs().max() > 1e-3


class Steady(AudioSep):
    """A network whose masks are the first number of its conditioning."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.front = AUDIOSEP_FRONT

    def forward(self, spectrogram: Tensor, conditioning: Tensor, want: object = None) -> Tensor:
        gain = torch.zeros(1, len(conditioning), *spectrogram.shape[1:])
        gain[..., 0] = conditioning[:, :1, None]
        return gain


@pytest.mark.parametrize("samples", [1, 700, 1025, 160_000, 160_001, 256_000, 300_007])
@pytest.mark.parametrize("one_pass", [0, 10**6])
def test_recordings_are_whole(samples: int, one_pass: int) -> None:
    """Exact windows, the last samples, and shorter ones than the transform: all is there."""
    given = torch.from_numpy(np.random.default_rng(samples).uniform(-1, 1, samples)).float()
    shares: list[float] = []
    report: Callable[[float], None] = shares.append
    gains = torch.tensor([[1.0], [0.25]])
    one, quarter = separate_recording(Steady(), given, gains, one_pass=one_pass, progress=report)
    torch.testing.assert_close(one, given, atol=1e-5, rtol=0)
    torch.testing.assert_close(quarter, given / 4, atol=1e-5, rtol=0)
    assert shares[-1] == 1.0
