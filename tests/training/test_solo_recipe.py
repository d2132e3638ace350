"""The recipes of `solo` on a few seconds of sound, and what they hear against plain sums."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from soloist.separators.checkpoints import load_solo
from soloist.separators.solo import Solo, SoloConfig
from soloist.training.losses import BandEnergies
from soloist.training.mixture_list import COLUMNS
from soloist.training.recipes import RECIPES
from soloist.training.recipes.solo import band_energies, noise_invariant_loss
from soloist.training.settings import read_settings
from soloist.training.trainer import Trainer, Watch

pytestmark = [
    pytest.mark.filterwarnings("default"),  # other people's, while optimisers are set up
    pytest.mark.usefixtures("letters"),
]

RATE = 48_000
SMALL = SoloConfig(width=16, memory=8, blocks=1, patch_width=4, maps=8, embedding=6)
SIZES = "[network]\nwidth = 16\nmemory = 8\nblocks = 1\npatch_width = 4\nmaps = 8\n"
TONES = {"low": 200.0, "middle": 1500.0, "high": 9000.0, "hiss": 0.0}
TOP = 'manifest = "manifest.csv"\nmixtures = "mixtures.csv"\nworkers = 0\nbatch = 2\n'
TOP += 'seconds = 0.4\nencoder = "letters"\nwarm_up = 1\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with four sounds to train on and a list of one mixture to score."""
    time = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).uniform(-1, 1, RATE)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "class", "caption", "split"])
        writer.writeheader()
        for label, frequency in TONES.items():
            sound = np.sin(2 * np.pi * frequency * time) if frequency else noise
            soundfile.write(tmp_path / f"{label}.wav", 0.5 * sound, RATE)
            row = {"path": f"{label}.wav", "class": label, "caption": f"a {label}"}
            writer.writerow(row | {"split": "train"})
    listed = dict.fromkeys(COLUMNS, "0") | {
        "target_file": "low.wav",
        "interferer_files": "high.wav",
        "duration_s": "0.5",
        "query": "a low",
    }
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(listed)
    return tmp_path


def made(name: str, data: Path, top: str, tables: str = SIZES) -> Any:
    scenes = "[scenes]\nsounds = 2\n" if name == "solo-nit" else ""
    (data / "run.toml").write_text(TOP + top + tables + scenes)
    named = RECIPES[name]
    return named.make(read_settings(data / "run.toml", named.settings))


@pytest.mark.parametrize("name", ["solo", "solo-nit"])
def test_a_run_is_saved_taken_up_again_and_tells_its_story(name: str, data: Path) -> None:
    told = "steps = 4\ncheck = 2\ncool_down = 2\ndropout = 0.2\n"
    assert Trainer(made(name, data, told), data / "whole", "cpu").fit()

    class UntilTwo(Watch):
        def stepped(self, step: int, loss: float) -> None:
            self.ended = step == 2

    halves = data / "halves"
    assert not Trainer(made(name, data, told), halves, "cpu").fit(UntilTwo())
    again = Trainer(made(name, data, told), halves, "cpu")
    again.resume()
    assert again.fit()
    whole, resumed = (load_solo(folder / "checkpoint.pt") for folder in (data / "whole", halves))
    for key, weights in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[key], weights, rtol=0, atol=0)
    assert [point["step"] for point in resumed.curve] == [2, 4]
    assert np.isfinite(resumed.curve[1]["si_sdri_mean"])
    assert [leg["first_step"] for leg in resumed.facts["legs"]] == [0, 2]
    assert resumed.facts["encoder"] == "letters"
    assert resumed.facts["vocabulary"]["low"] == ["a low", "low", "the sound of low"]
    assert resumed.facts["settings"]["dropout"] == 0.2
    assert not any("manifest" in key for key in resumed.facts["settings"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["solo", "solo-nit"])
def test_one_batch_is_learnt_by_heart(name: str, data: Path) -> None:
    wide = "[network]\nwidth = 48\nmemory = 24\nblocks = 1\npatch_width = 16\nmaps = 32\n"
    recipe = made(name, data, "steps = 9\ncool_down = 1\nrate = 0.02\n", wide).train()
    items = [recipe.examples[number] for number in range(2)]
    batch = {key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]}
    optimisers = recipe.optimisers()
    for _ in range(120):
        loss = recipe(batch)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
    network = recipe.network.eval()
    with torch.no_grad():
        power, energies = band_energies(network, batch)
        maps, _ = network.trunk(power, network.initial_state(2))
        mask = torch.sigmoid(network.logits(maps, network.condition(batch["queries"])))
        tries = [mask]
        if name == "solo-nit":  # what a query leaves, a noise head may take
            noise = torch.sigmoid(network.logits(maps, recipe.noise))
            tries = [(mask[:, :2] + heads).clamp(max=1) for heads in (noise, noise.flip(1))]
    for row, count in enumerate(batch["present"].sum(1)):
        found = min((errors(m[row, :count], energies, row) for m in tries), key=max)
        assert max(found) < 0.1


def errors(masks: torch.Tensor, energies: BandEnergies, row: int) -> list[float]:
    """Of each sound, energy of the error over that of the sound, by sums over the bands."""
    mixture, cross = energies.mixture[row, 0], energies.cross[row]
    return [
        float(1 + (mask.square() * mixture - 2 * mask * own).sum() / source)
        for mask, own, source in zip(masks, cross, energies.source[row], strict=False)
    ]


def test_a_run_begins_with_the_weights_of_another(data: Path) -> None:
    assert Trainer(made("solo", data, "steps = 2\ncool_down = 1\n"), data / "one", "cpu").fit()
    recipe = made("solo", data, 'steps = 2\ncool_down = 1\nstart = "one/checkpoint.pt"\n')
    wanted = load_solo(data / "one" / "checkpoint.pt").network.state_dict()
    for key, weights in recipe.network.state_dict().items():
        torch.testing.assert_close(weights, wanted[key], rtol=0, atol=0)
    with pytest.raises(ValueError, match="other sizes"):
        made(
            "solo",
            data,
            'steps = 2\ncool_down = 1\nstart = "one/checkpoint.pt"\n',
            SIZES.replace("memory = 8", "memory = 9"),
        )


def test_dropout_is_for_learning_alone(data: Path) -> None:
    recipe = made("solo", data, "steps = 2\ncool_down = 1\ndropout = 0.5\n")
    network = recipe.network
    power = torch.rand(1, 6, network.bands) * 1e6
    state = network.initial_state(1)
    with torch.no_grad():
        learning = [network.train().trunk(power, state)[0] for _ in range(2)]
        playing = [network.eval().trunk(power, state)[0] for _ in range(2)]
    assert not torch.equal(*learning)
    torch.testing.assert_close(*playing, rtol=0, atol=0)


def test_noise_heads_take_what_no_query_explains() -> None:
    """A source with a noise in it: with heads that know the noise the pair costs nothing."""
    low, high, noise, silent = (torch.zeros(60) for _ in range(4))
    low[:20], high[20:40], noise[40:] = 1.0, 1.0, 1.0
    sources = torch.stack([low + noise, high, silent])  # the last was asked in vain
    cross = sources[None, :, None].expand(-1, -1, 5, -1)
    energies = BandEnergies(cross.sum(1, keepdim=True), cross, cross.sum((2, 3)))

    def loss(queries: list[torch.Tensor], heads: list[torch.Tensor]) -> float:
        sure, given = (
            (40 * (torch.stack(masks) - 0.5))[None, :, None].expand_as(cross[:, : len(masks)])
            for masks in (queries, heads)
        )
        return float(noise_invariant_loss(sure, given, energies))

    clean = [low, high, silent]
    knows = loss(clean, [noise, silent])
    assert loss(clean, [silent, noise]) == pytest.approx(knows)  # whichever head it is
    assert loss(clean, [silent, silent]) > knows + 0.5
    assert loss([low, high, noise], [noise, silent]) > knows + 0.1  # not silent where it should be
    # heads that explain everything explain too much: a quarter of what is loud is free
    free, all_of_it = loss(clean, [noise, silent]), loss(clean, [low + noise, high])
    assert all_of_it - free == pytest.approx(1 - 1 / 3, abs=1e-3)


def test_what_the_network_hears_and_is_scored_by() -> None:
    network = Solo(SMALL)
    rng = np.random.default_rng(1)
    sources = torch.from_numpy(0.2 * rng.standard_normal((2, 3, 4096)).astype(np.float32))
    present = torch.tensor([[True, True, False], [True, True, True]])
    sources[0, 2] = 0
    gains = torch.from_numpy(rng.uniform(0.5, 2, (2, 3, 513)).astype(np.float32))
    background = torch.from_numpy(0.1 * rng.standard_normal((2, 4096)).astype(np.float32))
    batch = {"sources": sources, "present": present, "equalisers": gains, "background": background}
    power, energies = band_energies(network, batch)

    spectra = network.config.frontend.analyse(sources) * gains[:, :, None]
    mixture = spectra.sum(1) + network.config.frontend.analyse(background)
    spread = torch.nn.functional.one_hot(network.band_of_bin, network.bands).float()
    torch.testing.assert_close(
        power, mixture.abs().square() @ network.band_mean, rtol=1e-3, atol=1e-5
    )
    wanted = (mixture[:, None].conj() * spectra).real @ spread
    torch.testing.assert_close(energies.cross[:, :3], wanted, rtol=1e-3, atol=1e-5)
    assert not energies.cross[:, 3].any()
    totals = spectra.abs().square().sum((-2, -1))
    torch.testing.assert_close(energies.source[:, :3], totals, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        energies.mixture[:, 0], mixture.abs().square() @ spread, rtol=1e-3, atol=1e-5
    )
