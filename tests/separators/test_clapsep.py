"""Parts of CLAPSep against closed forms, brute force and the library transformers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import ClapAudioConfig
from transformers.models.clap.modeling_clap import ClapAudioLayer

from soloist.separators import clapsep, load
from soloist.separators.clap_audio import log_mel
from soloist.separators.clapsep import CLAPSEP_FRONT, CLAPSep, query
from soloist.separators.clapsep_decoder import Skip, Transformer
from soloist.separators.clapsep_mel import LogMel, resampling
from soloist.separators.columns import Span
from soloist.separators.htsat import HTSAT, Sizes, fold, merged, unfold
from soloist.separators.spectrogram import as_pairs
from soloist.separators.swin import Expand, Merge, SwinBlock


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def to_48_khz(audio: Tensor) -> Tensor:
    """Every sample by the sum that defines it."""
    at = torch.arange(-(-len(audio) * 3 // 2))[:, None]
    near = at * 2 // 3 + torch.arange(-8, 10)
    weights = resampling(near - at.double() * 2 / 3)
    inside = (near >= 0) & (near < len(audio))
    given = torch.where(inside, audio.double()[near.clamp(0, len(audio) - 1)], 0.0)
    return (given * weights).sum(1)


@pytest.mark.parametrize("samples", [1024, 4007, 33_333, 64_000])
def test_the_encoder_hears_what_resampled_audio_would_be(samples: int) -> None:
    audio = 0.1 * noise(samples, seed=samples)
    audio[: samples // 3] *= 0.001
    expected = log_mel(to_48_khz(audio)[None])[0].T
    front = replace(CLAPSEP_FRONT, clip=samples)
    found = LogMel(front, 1024)(as_pairs(front.analyse(audio))[None])[0]
    assert found.shape == (64, 1024)
    assert expected.shape[1] == front.frames
    np.testing.assert_allclose(found[:, : front.frames], expected, atol=0.02, rtol=0)
    assert (found[:, front.frames :] == -100).all()


@pytest.mark.parametrize("shifted", [False, True])
def test_blocks_are_those_of_the_library(shifted: bool) -> None:
    width, side = 64, 16
    torch.manual_seed(0)
    config = ClapAudioConfig(hidden_size=width, layer_norm_eps=1e-5)
    layer: Any = ClapAudioLayer
    theirs = layer(config, width, (side, side), 2, shift_size=4 if shifted else 0).eval()
    ours = SwinBlock(width, side, shifted)
    attention = theirs.attention.self
    attention.relative_position_bias_table.copy_(noise(225, 2))
    ours.attn.relative_position_bias_table.copy_(attention.relative_position_bias_table)
    parts = [attention.query, attention.key, attention.value]
    ours.attn.qkv.weight.copy_(torch.cat([part.weight for part in parts]))
    ours.attn.qkv.bias.copy_(torch.cat([part.bias for part in parts]))
    for mine, their in [
        (ours.attn.proj, theirs.attention.output.dense),
        (ours.mlp.fc1, theirs.intermediate.dense),
        (ours.mlp.fc2, theirs.output.dense),
        (ours.norm1, theirs.layernorm_before),
        (ours.norm2, theirs.layernorm_after),
    ]:
        mine.load_state_dict(their.state_dict())
    x = noise(2, side, side, width)
    expected = theirs(x.flatten(1, 2), (side, side))[0]
    torch.testing.assert_close(ours(x).flatten(1, 2), expected, atol=1e-5, rtol=0)


def test_neighbours_merge_and_part_columns_first() -> None:
    """The order is (row, column): (0, 0), (1, 0), (0, 1), (1, 1)."""
    order = [(0, 0), (1, 0), (0, 1), (1, 1)]
    merge, expand = Merge(8), Expand(16)
    x = noise(1, 4, 4, 8)
    corner = torch.cat([x[0, 2 + row, column] for row, column in order])
    expected = merge.reduction(merge.norm(corner))
    torch.testing.assert_close(merge(x)[0, 1, 0], expected)
    y = noise(1, 2, 2, 16)
    for group, (row, column) in zip(expand.expand.weight.chunk(4), order, strict=True):
        expected = expand.norm(group @ y[0, 1, 0])
        torch.testing.assert_close(expand(y)[0, 2 + row, column], expected)


def test_folding() -> None:
    bands = torch.arange(64 * 1024.0).reshape(1, 64, 1024)
    picture = fold(bands)
    assert picture[0, 64 * 2 + 5, 7] == bands[0, 5, 256 * 2 + 7]
    assert torch.equal(unfold(picture), bands)
    half = fold(bands[..., :256])
    assert half[0, 64 + 5, 7] == bands[0, 5, 128 + 7]
    assert torch.equal(unfold(half), bands[..., :256])


def test_each_query_meets_each_sound() -> None:
    skip = Skip(32)
    heard, film, x = noise(2, 4, 4, 32), noise(3, 64), noise(6, 4, 4, 32)
    found = skip(heard, film, x).unflatten(0, (2, 3))
    for sound in range(2):
        for words in range(3):
            gamma, beta = film[words].chunk(2)
            asked = skip.feature_proj(heard[sound]) * gamma + beta
            expected = skip.norm(x.unflatten(0, (2, 3))[sound, words] + asked)
            torch.testing.assert_close(found[sound, words], expected)


def test_the_transformer_is_torchs_and_makes_some_frames_alike() -> None:
    torch.manual_seed(1)
    ours = Transformer(640, 3).eval()
    layer = nn.TransformerEncoderLayer(640, 8, 2560, batch_first=True)
    theirs = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    theirs.load_state_dict(ours.state_dict())
    x = noise(1, 20, 640)
    expected = theirs.eval()(x)
    torch.testing.assert_close(ours(x, Span.whole(20)), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours(x, Span(12, 17, 20)), expected[:, 12:17], atol=1e-5, rtol=0)


def test_low_rank_changes_are_added_by_a_sixteenth() -> None:
    down, up, weight = noise(16, 6), noise(4, 16, seed=1), noise(4, 6, seed=2)
    given = {"a.weight": weight, "a.lora_A": down, "a.lora_B": up, "b.lora_A": down}
    found = merged(given)
    assert found.keys() == {"a.weight", "b.lora_A"}
    expected = weight + sum(torch.outer(up[:, r], down[r]) for r in range(16)) / 16
    torch.testing.assert_close(found["a.weight"], expected)


def test_queries() -> None:
    some, other = noise(512), noise(512, seed=1)
    both = query(some / some.norm(), other / other.norm())
    assert both.shape == (1024,)
    torch.testing.assert_close(both[:512], some / some.norm() / 2**0.5)
    assert not query(some)[512:].any()
    assert not query(None, some)[:512].any()
    torch.testing.assert_close(query(some).norm(), torch.tensor(1.0))
    with pytest.raises(ValueError, match="something to keep or something to leave"):
        query(None, None)
    with pytest.raises(ValueError, match="an embedding of 768 numbers; CLAP's have 512"):
        query(noise(768))


@pytest.mark.parametrize(
    ("sizes", "frames", "grids"),
    [
        (Sizes(), 1024, [(64, 128), (32, 256), (16, 512), (8, 1024)]),
        (Sizes(32, (1, 2, 1)), 256, [(32, 32), (16, 64), (8, 128)]),
        (Sizes(64, (2, 1)), 64, [(16, 64), (8, 128)]),
    ],
)
def test_encoders_of_other_sizes_hear_other_lengths(
    sizes: Sizes, frames: int, grids: list[tuple[int, int]]
) -> None:
    assert sizes.frames == frames
    assert list(zip(sizes.sides, sizes.widths, strict=True)) == grids
    if sizes != Sizes():
        maps = HTSAT(sizes).eval()(noise(2, 64, frames))
        wanted = [*grids, grids[-1]]
        assert [tuple(each.shape) for each in maps] == [(2, s, s, w) for s, w in wanted]


@pytest.mark.parametrize("depths", [(1, 1), (2, 1, 1)])
def test_separators_of_other_sizes(depths: tuple[int, ...], tmp_path: Path) -> None:
    network = CLAPSep(sizes=clapsep.Sizes(Sizes(32, depths), width=24, layers=2)).eval()
    front = network.front
    assert front.frames == 1 + 1000 * network.sizes.encoder.frames // 1024
    pairs = as_pairs(front.analyse(0.1 * noise(2, front.clip)))
    queries = network.condition(noise(2, 3, 1024))
    each = torch.stack([network(pairs[n : n + 1], queries[n])[0] for n in range(2)])
    torch.testing.assert_close(network(pairs, queries), each, atol=1e-5, rtol=0)
    torch.save(network.state_dict(), tmp_path / "small.pt")
    found = load(tmp_path / "small.pt").network
    torch.testing.assert_close(found(pairs, queries), each, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("key", "shape", "said"),
    [
        ("audio_branch.layers.1.blocks.0.mlp.fc1.weight", (4, 1), "fc1.weight is (4, 1)"),
        ("decoder_model.mask_net.2.layers.0.linear1.weight", (4, 1), "linear1.weight is (4, 1)"),
        ("audio_branch.patch_embed.proj.weight", (48, 1, 4, 4), "fc1.weight is (128, 32)"),
        ("decoder_model.mask_net.0.weight", (0, 577), "linear1.weight is (96, 24)"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(
    key: str, shape: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    state = CLAPSep(sizes=clapsep.Sizes(Sizes(32, (1, 1)), width=24, layers=1)).state_dict()
    torch.save({**state, key: torch.zeros(shape)}, tmp_path / "small.pt")
    with pytest.raises(ValueError, match=re.escape(said)):
        load(tmp_path / "small.pt")


def test_sizes_that_no_network_has() -> None:
    for bad in [(48, (1, 1)), (0, (1, 1)), (32, (1,)), (32, (1, 0))]:
        with pytest.raises(ValueError, match=r"tokens of|stages of"):
            Sizes(*bad)
    for width, layers in [(20, 1), (0, 1), (8, 0)]:
        with pytest.raises(ValueError, match=f"{layers} layers of {width} numbers"):
            clapsep.Sizes(width=width, layers=layers)


def test_other_transforms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(44100, 1024"):
        CLAPSep(replace(CLAPSEP_FRONT, sample_rate=44_100))
    with pytest.raises(ValueError, match="a block of 1251 frames; CLAPSep hears up to 1024"):
        CLAPSep(replace(CLAPSEP_FRONT, clip=400_000))
