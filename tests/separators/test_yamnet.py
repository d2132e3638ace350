"""YAMNet against TensorFlow's own operators, and its front end at other rates.

`yamnet.npz` was made by TensorFlow 2.21: `tf.signal.stft` and `linear_to_mel_weight_matrix` over a
sweep, then the published layers with `tf.nn` on weights that `drawn` makes.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soloist.separators.listener import PATCH, spectrum
from soloist.separators.yamnet import (
    BINS,
    FRAMES,
    STRIDES_AND_CHANNELS,
    Yamnet,
    fold,
    mel_matrix,
)

Floats = NDArray[np.float32]
GOLDEN = np.load(Path(__file__).with_name("yamnet.npz"))


def sweep() -> torch.Tensor:
    t = np.arange(16_000) / 16_000
    return torch.from_numpy((0.5 * np.sin(2 * np.pi * (200 * t + 1500 * t * t))).astype(np.float32))


def drawn(name: str, shape: tuple[int, ...]) -> Floats:
    """A layer's weights, by its name."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if "variance" in name:
        return random.uniform(0.5, 2, shape).astype(np.float32)
    if "kernel" in name:
        inputs = 9 if "depthwise" in name else np.prod(shape[:3])
        kernel: Floats = (random.normal(size=shape) / np.sqrt(inputs) * 1.4).astype(np.float32)
        return kernel
    return random.normal(0, 0.1, shape).astype(np.float32)


def published() -> dict[str, Floats]:
    """All layers by the published names."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(number: int, kernel: str, shape: tuple[int, ...], channels: int) -> None:
        shapes[f"{number}/{kernel}"] = shape
        for norm in ("beta", "moving_mean", "moving_variance"):
            shapes[f"{number + 1}/{norm}"] = (channels,)

    layer(0, "kernel", (3, 3, 1, 32), 32)
    channels = 32
    for index, (_, out) in enumerate(STRIDES_AND_CHANNELS):
        layer(4 * index + 2, "depthwise_kernel", (3, 3, channels, 1), channels)
        layer(4 * index + 4, "kernel", (1, 1, channels, out), out)
        channels = out
    return {name: drawn(name, shape) for name, shape in shapes.items()}


def test_the_front_end_is_tensorflow_s() -> None:
    found = torch.log(spectrum(sweep()).abs() @ mel_matrix() + 1e-3).numpy()[::8]
    np.testing.assert_allclose(found, GOLDEN["log_mel"], atol=5e-3)


@torch.no_grad()
def test_embeddings_are_tensorflow_s() -> None:
    trunk = Yamnet()
    trunk.load_state_dict(fold(published()))
    found = trunk(spectrum(sweep())[:FRAMES].abs()[None])[0].numpy()
    expected = GOLDEN["embedding"]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_a_patch_has_as_many_frames() -> None:
    assert spectrum(torch.zeros(PATCH)).shape == (FRAMES, BINS)
    assert spectrum(torch.zeros(3 * PATCH), 48_000).shape == (FRAMES, BINS)


@pytest.mark.parametrize("hertz", [150.0, 1000.0, 5000.0])
def test_magnitudes_are_the_same_at_three_times_the_rate(hertz: float) -> None:
    low, high = (np.arange(seconds) / rate for seconds, rate in ((PATCH, 16e3), (3 * PATCH, 48e3)))
    one, other = (
        spectrum(torch.from_numpy(np.sin(2 * np.pi * hertz * t).astype(np.float32)), int(rate))
        for t, rate in ((low, 16e3), (high, 48e3))
    )
    # a tone of amplitude 1 under a Hann window of 400 samples: 100 at most
    assert one.abs().max() == pytest.approx(100, rel=0.02)
    torch.testing.assert_close(one.abs(), other.abs(), atol=0.3, rtol=0)
