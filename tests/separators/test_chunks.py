"""Recordings cut into clips are whole again, at their own level."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from soloist.separators.chunks import separate_chunks
from soloist.separators.clapsep import CLAPSEP_FRONT, CLAPSep
from soloist.separators.clapsep_whole import separate_clips

FRONT = replace(CLAPSEP_FRONT, clip=6400)


class Listening(nn.Module):
    """A network whose masks are the first number of its conditioning; notes what it heard."""

    def __init__(self) -> None:
        super().__init__()
        self.front = FRONT
        self.heard: list[Tensor] = []

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        self.heard.append(spectrogram)
        masks = conditioning[None, :, None, None]
        return masks.expand(1, -1, *spectrogram.shape[1:3], 1)


def noise(samples: int) -> Tensor:
    return 0.2 * torch.randn(samples, generator=torch.Generator().manual_seed(samples))


@pytest.mark.parametrize("samples", [1, 6399, 6400, 6401, 20_000])
def test_all_is_there(samples: int) -> None:
    network, audio, shares = Listening(), noise(samples), list[float]()
    gains = torch.tensor([[1.0], [0.25]])
    one, quarter = separate_chunks(network, FRONT, audio, gains, shares.append)
    torch.testing.assert_close(one, audio, atol=1e-5, rtol=0)
    torch.testing.assert_close(quarter, audio / 4, atol=1e-5, rtol=0)
    clips = -(-samples // 6400)
    assert len(network.heard) == clips
    assert shares == [pytest.approx((n + 1) / clips) for n in range(clips)]


def test_clips_do_not_hear_each_other() -> None:
    network, audio = Listening(), noise(12_800)
    separate_chunks(network, FRONT, audio, torch.ones(1, 1))
    second = torch.view_as_real(FRONT.analyse(audio[6400:]))[None]
    torch.testing.assert_close(network.heard[1], second)


def test_what_is_too_loud_is_heard_at_nine_tenths_and_given_back_as_it_was() -> None:
    network: Any = Listening()
    audio = noise(6400)
    audio[100] = -3.0
    (found,) = separate_clips(cast(CLAPSep, network), audio, torch.ones(1, 1))
    torch.testing.assert_close(found, audio, atol=1e-5, rtol=0)
    expected = torch.view_as_real(FRONT.analyse(0.3 * audio))[None]
    torch.testing.assert_close(network.heard[0], expected)
    quiet = noise(6400)
    separate_clips(cast(CLAPSep, network), quiet, torch.ones(1, 1))
    expected = torch.view_as_real(FRONT.analyse(quiet))[None]
    torch.testing.assert_close(network.heard[1], expected)
