"""The small joint model: it learns which words go with which sound, and is what others load."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soloist.separators.clap_mini import ClapMini, ClapMiniSizes, from_checkpoint, to_checkpoint
from soloist.training.recipes import RECIPES
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
batch = 8
warm_up = 1
cool_down = 1
rate = 0.01
average = 0.5
[network]
width = 4
levels = 3
embedding = 8
seconds = 1.1
"""


def made(
    sounds: Path,
    top: str,
    tables: str = "[mixing]\nsingles = 1.0\n",
    seconds: str = "seconds = 1.1",
) -> Any:
    path = sounds / "run.toml"
    path.write_text(top + SETTINGS.replace("seconds = 1.1", seconds) + tables)
    named = RECIPES["clap-mini"]
    return named.make(read_settings(path, named.settings))


def test_it_learns_which_words_go_with_which_sound(sounds: Path) -> None:
    recipe = made(sounds, "steps = 60\ncheck = 60\n")
    trainer = Trainer(recipe, sounds / "run", "cpu")
    assert trainer.fit()
    assert trainer.curve[-1]["top_1"] == 1.0
    found = from_checkpoint(sounds / "run" / "checkpoint.pt")
    assert found is not None
    network, encoder = found
    assert encoder == "letters"
    audio = torch.from_numpy(np.stack([clip.samples for clip in recipe.tests]) / 32768).float()
    captions = [recipe.sentences.phrase(f"a {clip.label}").embedding for clip in recipe.tests]
    with torch.no_grad():
        near = network.sounds(audio) @ network.texts(torch.stack(captions)).T
    assert near.argmax(1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("led", ["false", "true"])
def test_by_shares_it_hears_which_sound_is_the_louder_one_behind_masks(
    sounds: Path, led: str
) -> None:
    top = f'steps = 150\ncheck = 150\ntargets = "shares"\nmasked = 0.5\nled = {led}\n'
    tables = "[mixing]\nsingles = 0.1\nquieter_db = 20.0\n"
    recipe = made(sounds, top, tables)
    assert Trainer(recipe, sounds / "run", "cpu").fit()
    found = from_checkpoint(sounds / "run" / "checkpoint.pt")
    assert found is not None
    tests = {clip.label: torch.from_numpy(clip.samples / 32768).float() for clip in recipe.tests}
    names = [recipe.sentences.phrase(f"a {label}").embedding for label in tests]
    with torch.no_grad():
        named = found[0].texts(torch.stack(names))
        for low, high in ((1.0, 0.15), (0.15, 1.0)):
            mixture = low * tests["low"] + high * tests["high"]
            near = dict(zip(tests, (found[0].sounds(mixture[None]) @ named.T)[0], strict=True))
            assert (near["low"] > near["high"]) == (low > high)


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(sounds: Path) -> None:
    class Impatient(Watch):
        def stepped(self, step: int, loss: float) -> None:
            self.ended = step == 2

    top = "steps = 4\ncheck = 4\n"
    assert Trainer(made(sounds, top), sounds / "whole", "cpu").fit()
    assert not Trainer(made(sounds, top), sounds / "parts", "cpu").fit(Impatient())
    trainer = Trainer(made(sounds, top), sounds / "parts", "cpu")
    trainer.resume()
    assert trainer.fit()
    one, other = (from_checkpoint(sounds / part / "checkpoint.pt") for part in ("whole", "parts"))
    assert one is not None and other is not None
    for key, value in one[0].state_dict().items():
        assert torch.equal(value, other[0].state_dict()[key])


def test_embeddings_have_length_one_and_scales_an_upper_bound() -> None:
    network = ClapMini(ClapMiniSizes(width=2, levels=2, embedding=5, words=3)).eval()
    sounds = network.sounds(torch.randn(2, 9000))
    texts = network.texts(torch.randn(4, 3))
    assert sounds.shape == (2, 5) and texts.shape == (4, 5)
    for rows in (sounds, texts):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    assert network.bounded_log_scale.exp().item() == pytest.approx(14.3)
    network.log_scale.data.fill_(9.0)
    assert network.bounded_log_scale.exp().item() == pytest.approx(100)


def test_silence_beside_a_sound_passes_finite_gradients() -> None:
    network = ClapMini(ClapMiniSizes(width=2, levels=2, embedding=5, words=3)).eval()
    audio = torch.zeros(1, 9000, requires_grad=True)
    network.sounds(audio + torch.cat([torch.zeros(5000), torch.randn(4000)])).sum().backward()
    assert audio.grad is not None
    assert audio.grad.isfinite().all()


def test_examples_that_are_too_short_for_the_levels(sounds: Path) -> None:
    with pytest.raises(SettingsError, match="led is of masks: give masked"):
        made(sounds, "steps = 1\nled = true\n")
    with pytest.raises(SettingsError, match=r"network: 0\.1 s are 7 frames, too few"):
        made(sounds, "", "", "seconds = 0.1")


def test_files_of_other_kinds_and_damaged_ones(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "other.pt")
    assert from_checkpoint(tmp_path / "other.pt") is None
    saved = to_checkpoint(ClapMini(ClapMiniSizes(width=2, levels=2)), "letters")
    saved["sizes"]["width"] = 4
    torch.save(saved, tmp_path / "wrong.pt")
    with pytest.raises(ValueError, match=r"wrong\.pt is no checkpoint of clap-mini"):
        from_checkpoint(tmp_path / "wrong.pt")
