"""CLAP's two branches against the published code, with weights of a recipe."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

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


def kept(module: nn.Module) -> list[Any]:
    """What the module will make, as it makes it."""
    made: list[Any] = []
    module.register_forward_hook(lambda _module, _given, output: made.append(output))
    return made


@torch.no_grad()
def test_texts(golden: Any) -> None:
    arrays = golden.arrays("clap_text")
    ids = torch.from_numpy(arrays["input_ids"]).long()
    branch = ClapText.from_state(clapsep_state(golden, "text"))
    pooled = kept(branch.text_branch)
    tokens, embedding = branch(ids)
    np.testing.assert_allclose(pooled[0].pooler_output, arrays["pooler"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(tokens[:, :20, ::8], arrays["last_hidden_s8"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(embedding, arrays["embedding"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_sounds(golden: Any) -> None:
    arrays = golden.arrays("clap_audio")
    audio = torch.from_numpy(arrays["input_int16"] / np.float32(32768))[None]
    branch = ClapAudio.from_state(clapsep_state(golden, "audio"))
    pooled = kept(branch.audio_branch)
    embedding = branch(audio)
    np.testing.assert_allclose(
        pooled[0].pooler_output[0], arrays["branch_embedding"], atol=1e-4, rtol=0
    )
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
