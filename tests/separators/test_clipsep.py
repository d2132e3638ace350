"""CLIPSep and CLIPSep-NIT against the outputs of their authors' code, with the same weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soloist.separators.clipsep import CLIPSepNIT
from soloist.separators.late_fusion import read_out
from soloist.separators.log_picture import Geometry
from soloist.separators.spectrogram import as_pairs
from soloist.separators.whole_file import MOST_CLIPS, separate_whole

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def network(golden: Any) -> CLIPSepNIT:
    """NIT, whose query mask is CLIPSep's: the same keys are filled alike."""
    network = CLIPSepNIT(Geometry())
    golden.recipe("fill_weights").fill_state_dict(network.state_dict(), "public", "clipsep")
    return network.eval()


@pytest.fixture(scope="module")
def truth(golden: Any) -> Arrays:
    arrays: Arrays = golden.arrays("clipsep")
    return arrays


@pytest.fixture(scope="module")
def nit(golden: Any) -> Arrays:
    arrays: Arrays = golden.arrays("clipsep_nit")
    return arrays


def audio(arrays: Arrays) -> torch.Tensor:
    return torch.from_numpy(arrays["wave"].astype(np.float32) / 32768)


def clip(arrays: Arrays) -> torch.Tensor:
    """The waveform repeated to one clip, as pairs."""
    front = Geometry().front
    wave = np.resize(arrays["wave"].astype(np.float32) / 32768, front.clip)
    return as_pairs(front.analyse(torch.from_numpy(wave)))[None]


def off(found: torch.Tensor, expected: NDArray[np.float32]) -> tuple[float, float]:
    """Largest and root mean square difference."""
    difference = found.numpy() - expected
    return float(np.abs(difference).max()), float(np.sqrt(np.square(difference).mean()))


def snr(found: torch.Tensor, expected: NDArray[np.float32]) -> float:
    """Energy of what is expected over that of the difference, dB."""
    error = np.square(found.numpy() - expected).sum()
    return float(10 * np.log10(np.square(expected).sum() / error))


def test_every_weight_is_the_one_that_was_filled(golden: Any, network: CLIPSepNIT) -> None:
    listing = golden.folder / "public" / "weights_sha256_clipsep_nit.tsv"
    rows = [line.split("\t") for line in listing.read_text().splitlines()[1:]]
    checksum = golden.recipe("fill_weights").checksum
    found = {key: checksum(value.numpy()) for key, value in network.state_dict().items()}
    assert found == {row[0]: row[3] for row in rows}
    assert sum(p.numel() for p in network.parameters()) == 30_292_771


def test_front_end(network: CLIPSepNIT, truth: Arrays) -> None:
    pairs = clip(truth)
    assert off(torch.view_as_complex(pairs)[0].abs(), truth["mag"])[0] <= 1e-4
    worst, rms = off(network.picture(pairs)[0, 0], truth["logmag"])
    assert worst <= 2e-2
    assert rms <= 1e-3


def test_unet(network: CLIPSepNIT, truth: Arrays) -> None:
    maps = network.sound_net(torch.from_numpy(truth["logmag"])[None, None])
    assert off(maps[0, :, ::16, ::16], truth["feat_sub"])[0] <= 1e-3
    words = network.condition(torch.from_numpy(truth["query"])[None])
    assert off(torch.sigmoid(read_out(maps, words))[0, 0], truth["mask"])[0] <= 1e-4


def test_masks(network: CLIPSepNIT, truth: Arrays, nit: Arrays) -> None:
    query = torch.from_numpy(truth["query"])[None]
    maps = network.sound_net(network.picture(clip(truth)))
    words = torch.cat([network.condition(query), network.condition_noise(query)])
    query_mask, *noise = torch.sigmoid(read_out(maps, words))[0]
    pairs = [
        (query_mask, truth["mask"]),
        (query_mask, nit["mask"]),
        (noise[0][::2], nit["noise_mask0"]),
        (noise[1][::2], nit["noise_mask1"]),
    ]
    for found, expected in pairs:
        worst, rms = off(found, expected)
        assert worst <= 1e-3
        assert rms <= 1e-4
    mask = network(clip(truth), words[:1])[0, 0, ..., 0]
    assert off(mask[:, ::4], truth["mask_lin_sub"])[0] <= 1e-3


def test_a_whole_file(network: CLIPSepNIT, truth: Arrays, nit: Arrays) -> None:
    query = torch.from_numpy(truth["query"])[None]
    words = torch.cat([network.condition(query), network.condition_noise(query)])
    soft = separate_whole(network, audio(truth), words)
    for expected in (truth["wav_soft"], nit["wav_soft"]):
        assert off(soft[0], expected)[0] <= 1e-4
        assert snr(soft[0], expected) >= 80
    gated = separate_whole(network, audio(truth), words, threshold=0.5)
    names = ("wav_binary", "noise_wav0_binary", "noise_wav1_binary")
    for found, name in zip(gated, names, strict=True):
        assert snr(found, nit[name]) >= 40
    assert snr(gated[0], truth["wav_binary"]) >= 40


@pytest.mark.slow
def test_a_file_of_several_clips(network: CLIPSepNIT, golden: Any) -> None:
    truth: Arrays = golden.arrays("clipsep_long")
    words = network.condition(torch.from_numpy(golden.arrays("clipsep")["query"])[None])
    heard: list[torch.Tensor] = []
    hook = network.picture.to_bins.register_forward_pre_hook(lambda _, given: heard.extend(given))
    soft = separate_whole(network, audio(truth), words)[0]
    hook.remove()
    (mask,) = heard
    worst, rms = off(mask[0, 0, ::4, ::4], truth["mask_sub"])
    assert worst <= 1e-3
    assert rms <= 1e-4
    # the inverse transform of the original ends 256 samples early, where its input does not
    whole = slice(0, len(truth["wav_soft"]))
    assert off(soft[whole], truth["wav_soft"])[0] <= 1e-4
    assert snr(soft[whole], truth["wav_soft"]) >= 80
    gated = separate_whole(network, audio(truth), words, threshold=0.5)[0]
    assert snr(gated[whole][::2], truth["wav_binary_sub"]) >= 40


class Steady:
    """A network whose masks are always the same."""

    geometry = Geometry()

    def __call__(self, spectrogram: torch.Tensor, conditioning: torch.Tensor) -> torch.Tensor:
        masks = conditioning[None, :, None, None]
        return masks.expand(1, -1, *spectrogram.shape[1:3], 1)


@pytest.mark.parametrize(
    "samples", [1, 300, 65_535, 65_536, 2 * 65_535, (MOST_CLIPS + 3) * 65_535 + 7]
)
def test_whole_files_are_whole(samples: int) -> None:
    """Exact clips, the last samples, and files of more than one pass: all is there."""
    given = torch.from_numpy(np.random.default_rng(samples).uniform(-1, 1, samples)).float()
    shares: list[float] = []
    gains = torch.tensor([[1.0], [0.25]])
    one, quarter = separate_whole(Steady(), given, gains, progress=shares.append)
    torch.testing.assert_close(one, given, atol=1e-5, rtol=0)
    torch.testing.assert_close(quarter, given / 4, atol=1e-5, rtol=0)
    assert shares[-1] == 1.0
