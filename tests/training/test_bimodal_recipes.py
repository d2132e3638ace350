"""Weak supervision and its relatives on a few seconds of sound: what counts, and what learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soloist.separators import load
from soloist.separators.clap import Clap
from soloist.separators.clap_mini import ClapMini, ClapMiniSizes, to_checkpoint
from soloist.separators.clap_text import ClapText
from soloist.training.joint import Laion, open_joint
from soloist.training.recipes import RECIPES, bimodal
from soloist.training.settings import SettingsError, read_settings
from soloist.training.trainer import Trainer, Watch

pytestmark = [
    pytest.mark.filterwarnings("default"),  # other people's, of CPUs that are idle
    pytest.mark.usefixtures("letters"),
]

SETTINGS = """
manifest = "manifest.csv"
encoder = "letters"
workers = 0
batch = 4
warm_up = 1
cool_down = 1
steps = 2
check = 1
[network]
base = 2
levels = 4
attending = 1
maps = 4
frames = 32
gates = 1.0
"""
KINDS = {
    "unsupervised": ("weak", 'losses = "reconstruction"\n', ""),
    "weak": ("weak", 'clap = "mini.pt"\n', ""),
    "semi": ("semi", 'clap = "mini.pt"\n', "[mixing]\nsingles = 0.5\n"),
    "supervised": ("weak", 'losses = "reconstruction"\n', "[mixing]\nsingles = 1.0\n"),
    "remixed": ("weak", 'losses = "remixed"\nstart = "begun/checkpoint.pt"\n', ""),
}


def made(kind: str, sounds: Path, top: str = "") -> Any:
    torch.manual_seed(3)
    mini = ClapMini(ClapMiniSizes(width=2, levels=3, embedding=8, words=6))
    torch.save(to_checkpoint(mini, "letters"), sounds / "mini.pt")
    name, more, tables = KINDS[kind]
    if kind == "remixed" and not (sounds / "begun").exists():
        Trainer(made("unsupervised", sounds), sounds / "begun", "cpu").fit()
    path = sounds / "run.toml"
    path.write_text(top + more + SETTINGS + tables)
    named = RECIPES[name]
    return named.make(read_settings(path, named.settings))


def test_a_table_that_leaves_a_share_out_leaves_it_the_recipe_s_own(sounds: Path) -> None:
    (sounds / "mini.pt").touch()
    for name, share in (("weak", 0.0), ("semi", 0.05), ("clap-mini", 0.5), ("clap-htsat", 0.5)):
        settings = RECIPES[name].settings
        for told in ({}, {"mixing": {"phrases": "class"}}):
            clap = {"clap": sounds / "mini.pt"} if name in ("weak", "semi") else {}
            made = settings.model_validate({"manifest": sounds / "manifest.csv", **clap, **told})
            assert made.model_dump()["mixing"]["singles"] == share


def batch_of(recipe: Any, items: int = 3) -> dict[str, Tensor]:
    drawn = [recipe.examples[number] for number in range(items)]
    return {key: torch.from_numpy(np.stack([item[key] for item in drawn])) for key in drawn[0]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_ends_as_a_checkpoint_that_separates(kind: str, sounds: Path) -> None:
    recipe = made(kind, sounds, 'mixtures = "mixtures.csv"\n')
    assert Trainer(recipe, sounds / "run", "cpu").fit()
    checkpoint = load(sounds / "run" / "checkpoint.pt")
    assert checkpoint.architecture == "bimodal"
    assert [point["step"] for point in checkpoint.facts["curve"]] == [1, 2]
    figures, _ = recipe.score(recipe.network.eval())
    assert np.isfinite(figures["si_sdri_mean"])
    saved = torch.load(sounds / "run" / "resume.pt", weights_only=True)
    assert not any("joint" in key for key in saved["recipe"])


def test_weak_supervision_may_go_on_from_an_unsupervised_run(sounds: Path) -> None:
    assert Trainer(made("unsupervised", sounds), sounds / "one", "cpu").fit()
    recipe = made("weak", sounds, 'start = "one/checkpoint.pt"\n')
    wanted, found = load(sounds / "one" / "checkpoint.pt").network, recipe.network.state_dict()
    for name, weights in wanted.state_dict().items():
        torch.testing.assert_close(found[name], weights, rtol=0, atol=0)
    path = sounds / "run.toml"
    path.write_text(path.read_text().replace("maps = 4", "maps = 5"))
    with pytest.raises(ValueError, match="not of the sizes"):
        RECIPES["weak"].make(read_settings(path, RECIPES["weak"].settings))


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_learns_is_taught_and_the_joint_model_is_not(kind: str, sounds: Path) -> None:
    recipe = made(kind, sounds).train()
    recipe(batch_of(recipe)).backward()
    for name, weights in recipe.named_parameters():
        assert (weights.grad is not None) == weights.requires_grad, name
    if recipe.joint is not None:
        assert not recipe.joint.network.training
        assert all(weights.grad is None for weights in recipe.joint.network.parameters())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "remixed"])
def test_perfect_masks_cost_nothing_but_the_contrast(
    kind: str, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = made(kind, sounds)
    batch = batch_of(recipe, 4)
    spectra = recipe.front.analyse(batch["sounds"]).flatten(1, 2)
    _, phrases = recipe.examples.words(batch["phrases"])

    def perfect(whole: Tensor, asked: list[list[str]]) -> Tensor:
        masks = []
        for example, texts, named, sum_ in zip(spectra, asked, phrases, whole, strict=True):
            labels = [phrase.split()[-1] for phrase in named]
            for text in texts:
                own = [label in text for label in labels]
                masks.append(example[own].sum(0).abs() / sum_.abs().clamp(min=1e-9))
        found: Tensor = torch.stack(masks).unflatten(0, (len(asked), -1))
        return found

    def shuffled(whole: Tensor, asked: list[list[str]]) -> Tensor:
        return perfect(whole, [texts[::-1] for texts in asked])

    monkeypatch.setattr(recipe, "_contrast", lambda *_: torch.zeros(()))
    monkeypatch.setattr(recipe, "_masks", perfect)
    right = recipe(batch)
    monkeypatch.setattr(recipe, "_masks", shuffled)
    wrong = recipe(batch)
    assert right < 0.03 * wrong  # magnitudes of two sounds that overlap do not quite add up
    if recipe.settings.losses == "reconstruction":
        assert right < 1e-5


def test_remixed_sounds_are_asked_for_by_their_own_phrases(
    sounds: Path, tones: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = made("remixed", sounds)
    batch, front = batch_of(recipe, 4), recipe.front
    single = front.analyse(2 * batch["sounds"]).flatten(0, 1)  # of mixtures as loud as one
    monkeypatch.setattr(bimodal, "estimates", lambda masks, mixtures: single)
    heard, asked = [], []

    def louder(sounds: Tensor) -> Tensor:
        heard.append(2 * sounds)
        return heard[-1]

    def perfect(whole: Tensor, texts: list[list[str]], network: object = None) -> Tensor:
        asked.append(texts)
        if network is not None:
            torch.testing.assert_close(whole, single.sum(1), atol=1e-3, rtol=0)
            return torch.full((len(texts), 2, *whole.shape[1:]), 0.5)
        torch.testing.assert_close(whole, heard[0].sum(1), atol=1e-3, rtol=0)
        return heard[0].abs() / whole.abs()[:, None].clamp(min=1e-9)

    monkeypatch.setattr(bimodal, "at_random_levels", louder)
    monkeypatch.setattr(recipe, "_masks", perfect)
    assert recipe(batch) < 1e-5
    _, remixed = asked
    assert remixed != asked[0]
    for sounds_, texts in zip(heard[0], remixed, strict=True):
        for sound, text in zip(sounds_, texts, strict=True):
            hertz = sound.abs().sum(1).argmax() * 16_000 / 1022
            frequency = tones[text.split()[-1]]
            assert not frequency or hertz == pytest.approx(frequency, abs=16)


def test_the_teacher_of_remixed_sounds_stays_as_it_began(sounds: Path) -> None:
    recipe = made("remixed", sounds)
    assert Trainer(recipe, sounds / "run", "cpu").fit()
    begun = load(sounds / "begun" / "checkpoint.pt").network.state_dict()
    taught = recipe.network.state_dict()
    for name, weights in recipe.teacher.state_dict().items():
        torch.testing.assert_close(weights, begun[name], rtol=0, atol=0)
    assert any(not torch.equal(weights, begun[name]) for name, weights in taught.items())


def test_remixing_that_was_interrupted_ends_as_it_would_have(sounds: Path) -> None:
    whole = Trainer(made("remixed", sounds), sounds / "whole", "cpu")
    assert whole.fit()
    watch = Watch()
    watch.ended = True  # after its first step
    assert not Trainer(made("remixed", sounds), sounds / "run", "cpu").fit(watch)
    recipe = made("remixed", sounds)
    with torch.no_grad():
        for weights in recipe.teacher.parameters():
            weights.zero_()  # the run has its own
    again = Trainer(recipe, sounds / "run", "cpu")
    again.resume()
    assert again.fit()
    wanted = whole.recipe.network.state_dict()
    for name, weights in recipe.network.state_dict().items():
        torch.testing.assert_close(weights, wanted[name], rtol=0, atol=0)


def test_the_contrast_falls_as_sounds_become_those_of_their_phrases(sounds: Path) -> None:
    recipe = made("weak", sounds)
    _, phrases = recipe.examples.words(batch_of(recipe)["phrases"])

    class Knowing:
        """Hears which sound it is, by how loud it is."""

        def sounds(self, audio: Tensor) -> Tensor:
            return nn.functional.one_hot(audio.abs().amax(1).round().long(), 20).float()

        def texts(self, texts: list[str]) -> Tensor:
            return torch.eye(20)[: len(texts)]

        def log_scale(self) -> Tensor:
            return torch.tensor(3.0)

    recipe.joint = Knowing()
    clip = torch.randn(recipe.front.clip)
    loudness = torch.arange(12.0)[:, None]
    spectra = recipe.front.analyse(clip / clip.abs().max() * loudness).unflatten(0, (3, 2, 2))
    several = torch.tensor([True, True, True])
    assert recipe._contrast(spectra, phrases, several) < 1e-4
    assert recipe._contrast(spectra.flip(2), phrases, several) > 10
    assert recipe._contrast(spectra, phrases, ~several) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["weak", "supervised"])
def test_one_batch_is_learnt_by_heart(kind: str, sounds: Path) -> None:
    recipe = made(kind, sounds, "rate = 0.01\n")
    batch, optimiser = batch_of(recipe, 1), recipe.optimisers()[0]
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = recipe(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    print(losses)
    assert losses[-1] < 0.5 * losses[0]


def test_laion_clap_tells_the_words_and_hears_the_sounds(
    sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ClapText(tokens=20, width=64, layers=1, hidden=16, embedding=12).eval()
    state = text.state_dict() | {"logit_scale_a": torch.tensor(1.5)}
    torch.save({"state_dict": state}, sounds / "laion.pt")
    heard = []

    class Ear(nn.Module):
        def forward(self, audio: Tensor) -> Tensor:
            heard.append(audio)
            return audio[:, :12]

    ids = torch.full((1, 77), 1)
    ids[0, :4] = torch.tensor([0, 7, 8, 2])
    monkeypatch.setattr(Clap, "audio", Ear())
    monkeypatch.setattr(Clap, "tokeniser", lambda self, texts: ids)
    joint = open_joint(sounds / "laion.pt")
    assert isinstance(joint, Laion)
    assert joint.log_scale() == 1.5
    phrase = joint.phrase("a low")
    assert phrase.tokens.shape == (5, 64) and phrase.counts.tolist() == [1, 1, 1, 1, 73]
    torch.testing.assert_close(joint.texts(["a low"])[0], text(ids)[1][0])
    time = torch.arange(1600) / 16_000
    joint.sounds(torch.sin(2 * torch.pi * 500 * time)[None])
    expected = torch.sin(2 * torch.pi * 500 * torch.arange(4800) / 48_000)
    torch.testing.assert_close(heard[0][0], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("top", "said"),
    [
        ("", 'losses "weak" need clap: a checkpoint of `soloist train clap-mini`, or LAION-CLAP'),
        ('clap = "none.pt"\n', "none.pt"),
        ('losses = "remixed"\n', 'losses "remixed" need start: a checkpoint of `weak`'),
        (
            'losses = "remixed"\nstart = "manifest.csv"\nmixing.singles = 0.5\n',
            "take mixtures alone: found mixing.singles 0.5",
        ),
    ],
)
def test_what_it_leans_on_must_be_there(sounds: Path, top: str, said: str) -> None:
    path = sounds / "run.toml"
    path.write_text(top + SETTINGS)
    with pytest.raises((SettingsError, ValueError), match=said):
        RECIPES["weak"].make(read_settings(path, RECIPES["weak"].settings))


def test_sizes_that_no_network_has(sounds: Path) -> None:
    path = sounds / "run.toml"
    path.write_text('clap = "mini.pt"\n' + SETTINGS.replace("attending = 1", "attending = 2"))
    with pytest.raises(SettingsError, match="network: 2 of 4 levels attend"):
        read_settings(path, RECIPES["weak"].settings)
