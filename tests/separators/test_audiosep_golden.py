"""AudioSep against what the published code computed with weights of a recipe.

A window of 5 s takes 116 G multiply-adds: each is computed once.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from soloist.separators.audiosep import AUDIOSEP_FRONT, AudioSep
from soloist.separators.audiosep_whole import separate_recording
from soloist.separators.checkpoints import load
from soloist.separators.spectrogram import as_pairs

pytestmark = pytest.mark.slow

Arrays = dict[str, NDArray[Any]]
TAPS = [
    "base.bn0",
    "base.encoder_block1",
    "base.encoder_block3",
    "base.conv_block7a",
    "base.decoder_block3",
    "base.decoder_block6",
    "base.after_conv",
]


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> AudioSep:
    """Out of a file with what the published one holds under the same names."""
    values = golden.recipe("fill_weights_clap").values
    state = {"query_encoder.model.logit_scale_a": torch.ones(())}
    for key, (shape, _) in golden.listing("audiosep").items():
        made = values(key, shape, "public")
        state[key] = torch.zeros(shape) if made is None else torch.as_tensor(made)
    path = tmp_path_factory.mktemp("audiosep") / "audiosep_base_4M_steps.ckpt"
    torch.save({"state_dict": state, "epoch": 3}, path)
    found = load(path)
    path.unlink()
    assert found.architecture == "audiosep"
    assert isinstance(found.network, AudioSep)
    return found.network


@pytest.fixture(scope="module")
def truth(golden: Any) -> Arrays:
    arrays: Arrays = golden.arrays("audiosep_main")
    return arrays


@pytest.fixture(scope="module")
@torch.no_grad()
def conditioning(network: AudioSep, truth: Arrays) -> Tensor:
    return network.condition(torch.from_numpy(truth["condition"])[None])


@pytest.fixture(scope="module")
def audio(truth: Arrays) -> Tensor:
    return torch.from_numpy(truth["input_int16"] / np.float32(32768))


@pytest.fixture(scope="module")
@torch.no_grad()
def taps(network: AudioSep, audio: Tensor, conditioning: Tensor) -> dict[str, Tensor]:
    """What parts of the network made on the way, and `"waveform"`."""
    heard: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: object, given: object, made: Any) -> None:
            heard[name] = made[0] if isinstance(made, tuple) else made

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(keep(name)) for name in TAPS]
    spectrum = AUDIOSEP_FRONT.analyse(audio)
    masks = network(as_pairs(spectrum)[None], conditioning)[0, 0]
    for hook in hooks:
        hook.remove()
    stem = AUDIOSEP_FRONT.synthesise(torch.view_as_complex(masks) * spectrum, len(audio))
    return {**heard, "waveform": stem}


def close(found: Tensor, expected: NDArray[Any], limit: float) -> None:
    np.testing.assert_allclose(found.numpy(), expected, atol=limit, rtol=0)


def test_shifts(network: AudioSep, conditioning: Tensor, truth: Arrays) -> None:
    sizes = list(network.base.shifted.values())
    shifts = dict(zip(network.base.shifted, conditioning[0].split(sizes), strict=True))
    close(shifts["encoder_block1->conv_block1->beta1"], truth["film_enc1_beta1"], 1e-4)
    close(shifts["decoder_block6->beta1"], truth["film_dec6_beta1"], 1e-4)


def test_every_tap(taps: dict[str, Tensor], truth: Arrays) -> None:
    close(taps["base.bn0"][0, ::16, ::8, 0], truth["bn0_s16_8"], 2e-3)
    close(taps["base.encoder_block1"][0, ::8, ::8, ::8], truth["enc1_s8"], 2e-3)
    close(taps["base.encoder_block3"][0, ::8, ::8, ::8], truth["enc3_s8"], 2e-3)
    close(taps["base.conv_block7a"][0, ::16, ::2, ::2], truth["center_s16_2"], 2e-3)
    # the way up is made for the clip's frames only, not for those that fill it up to 512
    frames = slice(None, 63)
    close(taps["base.decoder_block3"][0, ::16, ::8, ::8], truth["dec3_s16_8"][:, :16], 2e-3)
    close(taps["base.decoder_block6"][0, ::8, ::8, ::8], truth["dec6_s8_8"][:, frames], 2e-3)
    close(taps["base.after_conv"][0, :, ::8, ::8], truth["after_conv_s8_8"][:, frames], 2e-3)


def test_sound(taps: dict[str, Tensor], truth: Arrays) -> None:
    close(taps["waveform"], truth["waveform"], 1e-5)


def test_recordings(network: AudioSep, audio: Tensor, conditioning: Tensor, golden: Any) -> None:
    """One pass of an odd length; and windows, which the published code computes twice."""
    truth: Arrays = golden.arrays("audiosep_cases")
    short = separate_recording(network, audio[:50_001], conditioning)
    close(short[0], truth["len50001_waveform"], 1e-5)
    long = torch.cat([audio, audio])[:240_000]
    found = separate_recording(network, long, conditioning, one_pass=0)
    close(found[0], truth["chunk_240000_waveform"], 1e-5)
