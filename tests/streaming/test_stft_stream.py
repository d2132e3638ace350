"""The transform and its inverse as one stateful part: causality, cuts, tail, second use."""

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.frames import Frames
from soloist.streaming.stft import StreamingISTFT, StreamingSTFT

Audio = NDArray[np.float32]

HOPS = 40
GEOMETRIES = [
    Frames(1024, 128),
    Frames(256, 128),
    Frames(1024, 256, "hann", "hann-istft", "zeros"),
    Frames(1024, 320, "hann", "hann-istft", "reflect"),
]


class Pair:
    """Both, with a mask between them that differs from bin to bin."""

    def __init__(self, frames: Frames) -> None:
        self.forward, self.inverse = StreamingSTFT(frames, 2), StreamingISTFT(frames, 2)
        self.spectrum = np.zeros((2, frames.bins), np.complex64)
        self.mask = np.random.default_rng(5).uniform(0, 1, frames.bins).astype(np.float32)
        self.hop = frames.hop

    def play(self, audio: Audio) -> Audio:
        """Whole hops of (channels, frames)."""
        out = np.zeros_like(audio)
        for start in range(0, audio.shape[1], self.hop):
            part = slice(start, start + self.hop)
            self.forward.newest[:] = audio[:, part]
            self.forward.analyse(self.spectrum)
            self.spectrum *= self.mask
            hop = np.zeros((2, self.hop), np.float32)
            self.inverse.synthesise(self.spectrum, hop)
            out[:, part] = hop
            self.forward.advance()
        return out

    def reset(self) -> None:
        self.forward.reset()
        self.inverse.reset()


@pytest.fixture(params=GEOMETRIES, ids=lambda frames: f"{frames.n_fft}-{frames.hop}")
def frames(request: pytest.FixtureRequest) -> Frames:
    found: Frames = request.param
    return found


def noise(frames: Frames, seed: int = 0) -> Audio:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, HOPS * frames.hop)).astype(np.float32)


def test_output_depends_on_no_later_input(frames: Frames) -> None:
    audio, cut = noise(frames), 25 * frames.hop
    other = audio.copy()
    other[:, cut:] = noise(frames, seed=1)[:, cut:]
    assert (Pair(frames).play(audio)[:, :cut] == Pair(frames).play(other)[:, :cut]).all()


def test_cuts_between_hops_are_not_heard(frames: Frames) -> None:
    audio, pair = noise(frames), Pair(frames)
    parts = np.split(audio, [frames.hop, 7 * frames.hop, 8 * frames.hop, 31 * frames.hop], axis=1)
    whole = Pair(frames).play(audio)
    assert (np.concatenate([pair.play(part) for part in parts], axis=1) == whole).all()


def test_the_tail_is_over_when_the_last_frame_is(frames: Frames) -> None:
    """A sample is in frames that end up to n_fft later, and those sound for their support."""
    audio = noise(frames)
    audio[:, 20 * frames.hop :] = 0.0
    out = Pair(frames).play(audio)
    end = 20 * frames.hop + frames.n_fft + frames.overlap
    assert out[:, 20 * frames.hop : 20 * frames.hop + frames.overlap].any()
    assert not out[:, end:].any()


def test_the_second_use_is_as_the_first(frames: Frames) -> None:
    audio, pair = noise(frames), Pair(frames)
    first = pair.play(audio)
    pair.play(noise(frames, seed=1))
    pair.reset()
    assert (pair.play(audio) == first).all()
