"""CLAP's two branches against the published code, with weights of a recipe."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from soloist.separators.clap_audio import ClapAudio
from soloist.separators.clap_text import ClapText

pytestmark = pytest.mark.slow

Fill = Callable[[str, tuple[int, ...], str], object]


def state_of(
    golden: Any, listing: str, prefix: str, parts: tuple[str, str], fill: Fill
) -> dict[str, Tensor]:
    """The tensors `prefix.PART.*` of a checkpoint without the prefix, made by a recipe."""
    state = {}
    for key, (shape, dtype) in golden.listing(listing).items():
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and name.startswith(parts):
            made = fill(key, shape, dtype)
            state[name] = torch.zeros(shape) if made is None else torch.from_numpy(np.array(made))
    return state


def clapsep_state(golden: Any, branch: str) -> dict[str, Tensor]:
    values = golden.recipe("fill_weights_clap").values
    parts = f"{branch}_branch.", f"{branch}_projection."
    return state_of(
        golden,
        "clapsep",
        "clap_model.model.",
        parts,
        lambda key, shape, _: values(key, shape, "public"),
    )


@torch.no_grad()
def test_texts(golden: Any) -> None:
    arrays = golden.arrays("clap_text")
    ids = torch.from_numpy(arrays["input_ids"]).long()
    tokens, embedding = ClapText.from_state(clapsep_state(golden, "text"))(ids)
    np.testing.assert_allclose(tokens[:, :20, ::8], arrays["last_hidden_s8"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(embedding, arrays["embedding"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_sounds(golden: Any) -> None:
    arrays = golden.arrays("clap_audio")
    audio = torch.from_numpy(arrays["input_int16"] / np.float32(32768))[None]
    embedding = ClapAudio.from_state(clapsep_state(golden, "audio"))(audio)
    np.testing.assert_allclose(embedding[0], arrays["embedding"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_text_branch_of_a_bimodal_checkpoint(golden: Any) -> None:
    arrays = golden.arrays("bimodal_text")
    fill = golden.recipe("fill_weights").fill
    state = state_of(
        golden,
        "bimodal",
        "net_clap.model.model.",
        ("text_branch.", "text_projection."),
        lambda key, shape, dtype: fill("public", key, shape, "bimodal", dtype),
    )
    ids = torch.from_numpy(arrays["input_ids"])[None]
    tokens, embedding = ClapText.from_state(state)(ids)
    real = int(arrays["n_tokens"])
    np.testing.assert_allclose(tokens[0, :real], arrays["hidden_tokens"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(
        tokens[0, real:], arrays["hidden_pad"][None].repeat(77 - real, 0), atol=1e-3, rtol=0
    )
    np.testing.assert_allclose(embedding[0], arrays["text_embed"], atol=1e-3, rtol=0)
