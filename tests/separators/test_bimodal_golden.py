"""The bi-modal separator against what the published code computed with weights of a recipe.

One window takes 231 G multiply-adds: each is computed once.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from soloist.separators.bimodal import (
    BIMODAL_FRONT,
    BiModal,
    BiModalConfig,
    batch_statistics,
)
from soloist.separators.bimodal_live import BiModalLive
from soloist.separators.bimodal_whole import separate_windows
from soloist.separators.columns import Span
from soloist.separators.spectrogram import as_pairs

pytestmark = pytest.mark.slow

Arrays = dict[str, NDArray[Any]]
WINDOW = BIMODAL_FRONT.clip
FRAMES = BIMODAL_FRONT.frames


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network(golden: Any) -> BiModal:
    network = BiModal(BiModalConfig())
    golden.recipe("fill_weights").fill_state_dict(network.state_dict(), "public", "bimodal")
    return network.eval()


@pytest.fixture(scope="module")
def arrays(golden: Any) -> Arrays:
    stored: Arrays = golden.arrays("bimodal")
    return stored


@pytest.fixture(scope="module")
def conditioning(network: BiModal, arrays: Arrays) -> Tensor:
    """Of the golden text, ``(1, D)``: its tokens, and the padding as one row."""
    tokens = np.concatenate([arrays["hidden_tokens"], arrays["hidden_pad"][None]])
    counts = torch.ones(len(tokens))
    counts[-1] = 77 - len(arrays["hidden_tokens"])
    embedding = torch.from_numpy(arrays["text_embed"])
    with torch.no_grad():
        return network.condition(torch.from_numpy(tokens), counts, embedding)[None]


def audio(arrays: Arrays) -> Tensor:
    return torch.from_numpy(arrays["wave"] / np.float32(32768))


def snr_db(found: Tensor, expected: NDArray[Any]) -> float:
    error = found.numpy().astype(float) - expected
    return float(10 * np.log10(np.square(expected, dtype=float).sum() / np.square(error).sum()))


@pytest.fixture(scope="module")
def spectrum(arrays: Arrays) -> Tensor:
    return BIMODAL_FRONT.analyse(audio(arrays))


@pytest.fixture(scope="module")
@torch.no_grad()
def made(network: BiModal, spectrum: Tensor, conditioning: Tensor) -> tuple[Tensor, Tensor]:
    """The mask, and the map that its read-out is folded into."""
    kept: list[Tensor] = []

    def ascend(maps: list[Tensor], queries: int) -> Tensor:
        kept.append(network.net_sound.ascend(maps, queries))
        return kept[0]

    whole = Span.whole(FRAMES)
    masks = network.masks(as_pairs(spectrum)[None], conditioning, ascend, whole)
    return masks[0, 0, ..., 0], kept[0]


@pytest.fixture(scope="module")
def mask(made: tuple[Tensor, Tensor]) -> Tensor:
    return made[0]


def test_the_weights_are_those_of_the_recipe(golden: Any, network: BiModal) -> None:
    listing = (golden.folder / "public" / "weights_sha256_bimodal.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in listing[1:]]
    state, checksum = network.state_dict(), golden.recipe("fill_weights").checksum
    own = {key: digest for key, _, _, digest in rows if key in state}
    assert own.keys() == state.keys()
    for key in list(own)[::40]:
        assert checksum(state[key].numpy()) == own[key]


def test_front_end(spectrum: Tensor, arrays: Arrays) -> None:
    assert spectrum.shape == (512, 512)
    found = spectrum.abs().log1p()[::4, ::4].numpy()
    np.testing.assert_allclose(found, arrays["log1p_mag_sub"], atol=1e-4, rtol=0)


def test_masks_and_sound(mask: Tensor, spectrum: Tensor, arrays: Arrays) -> None:
    np.testing.assert_allclose(mask[::2, ::2], arrays["mask_sub"], atol=5e-4, rtol=0)
    np.testing.assert_allclose(mask[:, 100], arrays["mask_col100"], atol=5e-4, rtol=0)
    assert snr_db(BIMODAL_FRONT.synthesise(mask * spectrum, WINDOW), arrays["wav"]) >= 70


@torch.no_grad()
def test_feature_maps(network: BiModal, made: tuple[Tensor, Tensor], arrays: Arrays) -> None:
    found = network.net_sound.unet_block.upconv(made[1])[0, :, ::32, ::32]
    np.testing.assert_allclose(found, arrays["feat_sub"], atol=2e-3, rtol=0)


@torch.no_grad()
def test_gates(network: BiModal, golden: Any) -> None:
    arrays: Arrays = golden.arrays("bimodal_text")
    found = network.net_clap(torch.from_numpy(arrays["text_embed"]))
    np.testing.assert_allclose(found, arrays["cond"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_newest_frames_alone(
    network: BiModal, spectrum: Tensor, conditioning: Tensor, mask: Tensor
) -> None:
    live = BiModalLive(network, Span(472, 496, FRAMES))
    found = live(as_pairs(spectrum)[None], conditioning)[0, 0, ..., 0]
    torch.testing.assert_close(found, mask[:, 472:496], atol=1e-4, rtol=0)


@torch.no_grad()
def test_batch_statistics_of_the_published_demo(
    network: BiModal, spectrum: Tensor, conditioning: Tensor, arrays: Arrays
) -> None:
    with batch_statistics(network):
        mask = network(as_pairs(spectrum)[None], conditioning)[0, 0, ..., 0]
    np.testing.assert_allclose(mask[::4, ::4], arrays["mask_batchstat_sub"], atol=5e-4, rtol=0)
    assert snr_db(BIMODAL_FRONT.synthesise(mask * spectrum, WINDOW), arrays["wav_batchstat"]) >= 70


def test_a_whole_recording(golden: Any, network: BiModal, conditioning: Tensor) -> None:
    arrays = golden.arrays("bimodal_demo")
    finished: list[float] = []
    found = separate_windows(network, audio(arrays), conditioning, progress=finished.append)
    assert finished == [0.5, 1.0]
    assert snr_db(found[0], arrays["wav_eval"]) >= 70
    with batch_statistics(network):
        found = separate_windows(network, audio(arrays), conditioning)
    assert snr_db(found[0], arrays["wav_as_published"]) >= 70
