"""CLAPSep's recipe on a few seconds of sound, around a small encoder of the published kind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from soloist.export.asked import Asked
from soloist.export.clapsep import clapsep_whole
from soloist.separators import load
from soloist.separators.clap import Clap
from soloist.separators.clap_audio import log_mel
from soloist.separators.clap_htsat import ClapHtsat, to_checkpoint
from soloist.separators.clapsep import CLAPSep
from soloist.separators.clapsep_checkpoint import encoder_of, encoder_sizes
from soloist.separators.htsat import HTSAT, Sizes
from soloist.training.adaptable import open_adaptable
from soloist.training.lora import adapt
from soloist.training.recipes import RECIPES
from soloist.training.settings import read_settings
from soloist.training.trainer import Trainer, Watch

pytestmark = pytest.mark.filterwarnings("default")  # other people's, of CPUs that are idle

RATE = 32_000
SMALL = Sizes(32, (1, 2))  # hears 64 frames


def clap(words: int = 6) -> ClapHtsat:
    """Untrained, but for what it takes as usual levels."""
    torch.manual_seed(9)
    network = ClapHtsat(SMALL, words)
    nn.init.constant_(network.audio_branch.bn0.get_buffer("running_mean"), -40.0)
    nn.init.constant_(network.audio_branch.bn0.get_buffer("running_var"), 300.0)
    return network


@pytest.fixture
def data(sounds: Path, letters: Any) -> Path:
    """What others learn from, and a joint model."""
    torch.save(to_checkpoint(clap(letters.dimension), letters.name), sounds / "clap.pt")
    return sounds


def made(data: Path, top: str) -> Any:
    path = data / "run.toml"
    head = 'manifest = "manifest.csv"\nclap = "clap.pt"\nworkers = 0\nbatch = 2\nwarm_up = 1\n'
    path.write_text(f"{head}cool_down = 1\n{top}[network]\nwidth = 16\nlayers = 1\nrank = 2\n")
    named = RECIPES["clapsep"]
    return named.make(read_settings(path, named.settings))


def learns(key: str) -> bool:
    adapted = ".lora_" in key or key.endswith((".attn.qkv.bias", ".attn.proj.bias"))
    return key.startswith("decoder_model.") or adapted


def test_a_run_ends_as_a_checkpoint_that_separates(data: Path) -> None:
    recipe = made(data, 'mixtures = "mixtures.csv"\nsteps = 2\ncheck = 1\naverage = 0.5\n')
    trainer = Trainer(recipe, data / "run", "cpu")
    assert trainer.fit()
    checkpoint = load(data / "run" / "checkpoint.pt")
    assert checkpoint.architecture == "clapsep"
    assert isinstance(checkpoint.network, CLAPSep)
    assert checkpoint.network.front.clip == 20_000
    assert checkpoint.facts["settings"]["clap"] == "clap.pt"
    assert isinstance(trainer.average, CLAPSep)
    pairs = torch.randn(2, 513, 63, 2)
    queries = torch.randn(3, 1024)
    with torch.no_grad():
        expected = trainer.average(pairs, trainer.average.condition(queries))
        found = checkpoint.network(pairs, checkpoint.network.condition(queries))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    figures, heard = recipe.score(checkpoint.network)
    last = checkpoint.facts["curve"][-1]
    for key in ("si_sdri_mean", "positive_si_sdri_mean", "negative_si_sdri_mean"):
        assert figures[key] == pytest.approx(last[key], abs=1e-2)
    assert len({figures[key] for key in figures if key.endswith("mean")}) == 3
    assert len(heard[0].estimate) == RATE // 2


def test_it_separates_whole_recordings(data: Path) -> None:
    Trainer(made(data, "steps = 1\n"), data / "run", "cpu").fit()
    np.save(data / "low.npy", np.random.default_rng(1).standard_normal(512))
    path = data / "run" / "checkpoint.pt"
    whole = clapsep_whole(load(path), path, Asked(embeddings={"low": data / "low.npy"}), None)
    audio = np.random.default_rng(2).standard_normal((50_001, 2)).astype(np.float32)
    (stem,) = whole.separate(audio, linked=True)
    assert stem.shape == audio.shape
    assert 0 < np.abs(stem).mean() < np.abs(audio).mean()


def test_the_decoder_and_low_rank_changes_learn_and_nothing_else(data: Path) -> None:
    recipe = made(data, "steps = 3\n")
    before = {key: value.clone() for key, value in recipe.network.state_dict().items()}
    given = clap().state_dict()
    Trainer(recipe, data / "run", "cpu").fit()
    after = recipe.network.state_dict()
    for key, value in before.items():
        if not learns(key):
            assert torch.equal(after[key], value), key
            assert torch.equal(value, given[key]), key
        elif not key.endswith("relative_position_bias_table"):  # a sixteenth is not met in 8 x 8
            assert not torch.equal(after[key], value), key
    optimised = {id(p) for group in recipe.optimisers()[0].param_groups for p in group["params"]}
    for key, weights in recipe.network.named_parameters():
        assert (id(weights) in optimised) == learns(key)


def test_an_adapted_encoder_begins_as_the_one_that_it_adapts() -> None:
    encoder = HTSAT(SMALL).eval()
    picture = 10 * torch.randn(1, 64, 64)
    with torch.no_grad():
        before = encoder(picture)
        adapt(encoder, 3)
        after = encoder(picture)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    shapes = {key: tuple(v.shape) for key, v in encoder.named_parameters() if v.requires_grad}
    first = "layers.0.blocks.0.attn.qkv"
    assert shapes[f"{first}.lora_A"] == (3, 32)
    assert shapes[f"{first}.lora_B"] == (96, 3)
    assert len(shapes) == 3 * 2 * sum(SMALL.depths)


def test_laions_file_is_adapted_too(tmp_path: Path) -> None:
    """What of it a network takes; its branches for queries are held to golden vectors elsewhere."""
    given = clap().state_dict()
    state = {f"module.{key}": value for key, value in given.items() if key.startswith("audio_")}
    state["module.text_projection.0.weight"] = torch.zeros(4, 4)
    torch.save({"epoch": 15, "state_dict": state}, tmp_path / "clap.pt")
    opened = open_adaptable(tmp_path / "clap.pt")
    assert isinstance(opened, Clap)
    found = encoder_of(opened.state)
    assert encoder_sizes(found) == SMALL
    assert found.keys() == {key for key in given if key.startswith("audio_branch.")}


def test_words_and_sounds_are_those_of_the_joint_model(data: Path, letters: Any) -> None:
    opened = open_adaptable(data / "clap.pt")
    network = clap().eval()
    words = torch.from_numpy(letters.encode(["a low", "hiss"]))
    long = np.random.default_rng(0).uniform(-0.5, 0.5, 75_000).astype(np.float32)
    pieces = torch.from_numpy(long[:60_000].reshape(2, 30_000))
    with torch.no_grad():
        expected = network.texts(words).numpy()
        each = network.norm(network.audio_branch(mel(pieces))[-1].flatten(1, 2)).mean((0, 1))
        whole = nn.functional.normalize(network.audio_projection(each), dim=-1).numpy()
    np.testing.assert_allclose(opened.encode(["a low", "hiss"]), expected, atol=1e-6)
    found = opened.encode_sounds([long, long[:12_000]])
    np.testing.assert_allclose(found[0], whole, atol=1e-5)
    repeated = np.concatenate([long[:12_000], long[:12_000], np.zeros(6_000, np.float32)])
    np.testing.assert_allclose(found[1], opened.encode_sounds([repeated])[0], atol=1e-6)


def mel(pieces: torch.Tensor) -> torch.Tensor:
    """63 frames, and one of silence."""
    return nn.functional.pad(log_mel(pieces).transpose(1, 2), (0, 1), value=-100.0)


def test_a_mixture_of_unknown_sounds_is_refused(data: Path) -> None:
    text = (data / "manifest.csv").read_text()
    (data / "manifest.csv").write_text(text.replace("high.wav", "hiss.wav"))
    with pytest.raises(ValueError, match=r"does not name the class of high\.wav"):
        made(data, 'mixtures = "mixtures.csv"\nsteps = 1\n')


def test_what_is_no_joint_model_is_refused(data: Path) -> None:
    torch.save({"weights": {}}, data / "clap.pt")
    with pytest.raises(ValueError, match=r"clap\.pt is no checkpoint of LAION-CLAP, and none of"):
        made(data, "steps = 1\n")


def test_a_joint_model_learns_and_is_adapted(data: Path) -> None:
    settings = RECIPES["clap-htsat"].settings.model_validate(
        {
            "manifest": data / "manifest.csv",
            "encoder": "letters",
            "network": {"width": 32, "depths": [1, 1]},
            "mixing": {"singles": 1.0},
            **{"steps": 40, "warm_up": 5, "cool_down": 5, "check": 20, "batch": 6},
            **{"workers": 0, "average": 0.5, "rate": 1e-3},
        }
    )
    trainer = Trainer(RECIPES["clap-htsat"].make(settings), data / "joint", "cpu")
    assert trainer.fit()
    first, last = trainer.curve
    assert last["loss"] < 0.85 * first["loss"]
    assert last["top_1"] >= 0.75
    (data / "joint" / "checkpoint.pt").rename(data / "clap.pt")
    recipe = made(data, "steps = 1\n")
    key = "audio_branch.bn0.running_mean"
    found, given = (each.state_dict()[key] for each in (recipe.network, trainer.average))
    assert torch.equal(found, given)
    assert found.abs().min() > 1


class Impatient(Watch):
    """Ends the run after a step."""

    def stepped(self, step: int, loss: float) -> None:
        self.ended = step == 2


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(data: Path) -> None:
    whole, parts = data / "whole", data / "parts"
    assert Trainer(made(data, "steps = 4\n"), whole, "cpu").fit()
    assert not Trainer(made(data, "steps = 4\n"), parts, "cpu").fit(Impatient())
    resumed = Trainer(made(data, "steps = 4\n"), parts, "cpu")
    resumed.resume()
    assert resumed.fit()
    one, other = (
        torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (whole, parts)
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_one_batch_is_learnt_by_heart(data: Path) -> None:
    recipe = made(data, "steps = 1\nrate = 0.01\n")
    items = [recipe.examples[number] for number in range(2)]
    batch = {key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]}
    optimiser = recipe.optimisers()[0]
    losses = []
    for _ in range(24):
        optimiser.zero_grad()
        loss = recipe(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > -3  # masks of a half everywhere
    assert losses[-1] < -14
