"""CLAPSep against what the published code computed with weights of a recipe.

A block of 10 s takes 39 G multiply-adds, a shorter one half: each is computed once.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from soloist.separators.checkpoints import load
from soloist.separators.clapsep import CLAPSEP_FRONT, CLAPSep, query
from soloist.separators.clapsep_mel import resampling
from soloist.separators.columns import Span
from soloist.separators.spectrogram import as_pairs

pytestmark = pytest.mark.slow

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network(golden: Any, tmp_path_factory: pytest.TempPathFactory) -> CLAPSep:
    """Out of two files, with what the published ones hold under the same names."""
    values = golden.recipe("fill_weights_clap").values
    own, clap = {}, {}
    for key, source in golden.column("clapsep", "source").items():
        shape, dtype = golden.listing("clapsep")[key]
        if source == "computed" or key.startswith("clap_model.model.text_branch."):
            continue
        made = values(key, shape, "public")
        filled = torch.zeros(shape, dtype=getattr(torch, dtype)) if made is None else made
        tensor = torch.as_tensor(filled)
        if source == "best_model.ckpt":
            own[key] = tensor
        elif key.startswith("audio_branch."):
            clap[f"module.{source.removeprefix('CLAP:')}"] = tensor
    assert len(own) == 300
    folder = tmp_path_factory.mktemp("clapsep")
    torch.save(own, folder / "best_model.ckpt")
    figures = {"epoch": 15, "best": np.float64(0.9)}
    torch.save({**figures, "state_dict": clap}, folder / "music_audioset_epoch_15_esc_90.14.pt")
    found = load(folder / "best_model.ckpt")
    shutil.rmtree(folder)
    assert found.architecture == "clapsep"
    assert isinstance(found.network, CLAPSep)
    return found.network


@pytest.fixture(scope="module")
def truth(golden: Any) -> Arrays:
    return {**golden.arrays("clapsep_main"), **golden.arrays("clapsep_taps")}


@pytest.fixture(scope="module")
def audio(truth: Arrays) -> Tensor:
    return torch.from_numpy(truth["input_int16"] / np.float32(32768))


@pytest.fixture(scope="module")
def halves(truth: Arrays) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(truth["query_pos"]), torch.from_numpy(truth["query_neg"])


@pytest.fixture(scope="module")
@torch.no_grad()
def taps(network: CLAPSep, audio: Tensor, halves: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """What parts of the network made on the way, by name; `"mask"` and `"waveform"` as well."""
    heard: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: object, given: object, made: Tensor) -> None:
            heard[name] = made

        return hook

    encoder, decoder = network.audio_branch, network.decoder_model
    parts = {
        "mel": network.mel,
        "patch_embed": encoder.patch_embed,
        **{f"enc{n}": layer for n, layer in enumerate(encoder.layers)},
        "film": decoder.film,
        "declayer0": decoder.layers[0],
        **{f"dec{n}": skip for n, skip in enumerate(decoder.skip)},
        "image": decoder.inverse_patch_embed,
        "spec_norm": decoder.spec_norm,
        "masknet_in": decoder.mask_net[0],
        "masknet_tf": decoder.mask_net[2],
    }
    hooks = [part.register_forward_hook(keep(name)) for name, part in parts.items()]
    spectrum = CLAPSEP_FRONT.analyse(audio)
    conditioning = network.condition(query(*halves)[None])
    mask = network(as_pairs(spectrum)[None], conditioning)[0, 0, ..., 0]
    for hook in hooks:
        hook.remove()
    magnitude = spectrum.abs()
    stem = CLAPSEP_FRONT.synthesise(mask * spectrum, len(audio))
    return {**heard, "mag": magnitude.T, "mask": mask.T, "waveform": stem}


def close(found: Tensor, expected: NDArray[Any], limit: float) -> None:
    np.testing.assert_allclose(found.numpy(), expected, atol=limit, rtol=0)


def test_the_query(halves: tuple[Tensor, Tensor], truth: Arrays) -> None:
    close(query(*halves), truth["embed"], 1e-6)


def test_resampling(audio: Tensor, truth: Arrays) -> None:
    """Each sample of 48 kHz by the sum that defines it; silence beyond the ends."""
    padded = torch.nn.functional.pad(audio.double(), (8, 8))

    def resampled(places: NDArray[np.int64]) -> Tensor:
        at = torch.from_numpy(places)[:, None]
        near = at * 2 // 3 + torch.arange(-7, 9)
        return (padded[near + 8] * resampling(near - at.double() * 2 / 3)).sum(1)

    last = 480_000
    close(resampled(np.arange(64)), truth["x48_head"], 1e-6)
    close(resampled(np.arange(last - 64, last)), truth["x48_tail"], 1e-6)
    close(resampled(np.arange(0, last, 37)), truth["x48_s37"], 1e-6)


def test_what_is_heard(taps: dict[str, Tensor], truth: Arrays) -> None:
    close(taps["mag"][::16, ::8], truth["mag_s16_8"], 1e-4)
    close(taps["mel"][0].T[::8], truth["logmel_s8"], 0.05)


def test_encoder(taps: dict[str, Tensor], truth: Arrays) -> None:
    for name, tokens in [("patch_embed", 32), ("enc0", 16), ("enc1", 8), ("enc2", 4), ("enc3", 4)]:
        close(taps[name][0].flatten(0, 1)[::tokens, ::4], truth[f"{name}_s{tokens}_4"], 2e-3)


def test_decoder(taps: dict[str, Tensor], truth: Arrays) -> None:
    steps = {"film": 4, "declayer0": 4, "dec0": 4, "dec1": 8, "dec2": 16, "dec3": 32}
    for name, tokens in steps.items():
        close(taps[name][0].flatten(0, 1)[::tokens, ::4], truth[f"{name}_s{tokens}_4"], 2e-3)
    close(taps["image"][0, ::4, ::4], truth["image_s4_4"], 2e-3)
    close(taps["spec_norm"][0, ::8, ::16], truth["spec_norm_s16_8"], 2e-3)
    close(taps["masknet_in"][0, ::50, ::8], truth["masknet_in_s50_8"], 2e-3)
    close(taps["masknet_tf"][0, ::50, ::8], truth["masknet_tf_s50_8"], 2e-3)


def test_mask_and_sound(taps: dict[str, Tensor], truth: Arrays) -> None:
    close(taps["mask"][::4, ::4], truth["mask_s4_4"], 1e-4)
    close(taps["mask"][truth["mask_rows"]], truth["mask_at_rows"], 1e-4)
    close(taps["waveform"], truth["waveform"], 1e-5)


@torch.no_grad()
def test_shorter_blocks_and_halves_of_queries(
    network: CLAPSep, audio: Tensor, halves: tuple[Tensor, Tensor], golden: Any
) -> None:
    truth: Arrays = golden.arrays("clapsep_cases")
    positive, negative = halves
    queries = torch.stack([query(*halves), query(positive), query(None, negative)])
    conditioning = network.condition(queries)
    names = [f"short{name}_waveform" for name in ("", "_pos_only", "_neg_only")]
    for piece, some in [(audio[:64_000], names), (audio[1000:34_333], ["odd_33333_waveform"])]:
        front = replace(CLAPSEP_FRONT, clip=len(piece))
        spectrum = front.analyse(piece)
        whole = Span.whole(front.frames)
        masks = CLAPSep(front, like=network)(
            as_pairs(spectrum)[None], conditioning[: len(some)], whole
        )
        stems = front.synthesise(masks[0, ..., 0] * spectrum[None], len(piece))
        for stem, name in zip(stems, some, strict=True):
            close(stem, truth[name], 1e-5)
