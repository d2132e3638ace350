"""The recipes of the CLIPSep family on a few seconds of sound: they learn, and play afterwards."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soloist.separators import load
from soloist.separators.clap_mini import ClapMini, ClapMiniSizes, to_checkpoint
from soloist.training.clips import Clip, load_clips
from soloist.training.pairs import Mixing, Pairs, Queries, QueryTable
from soloist.training.recipes import RECIPES
from soloist.training.settings import SettingsError, read_settings
from soloist.training.trainer import Trainer

pytestmark = [
    pytest.mark.filterwarnings("default"),  # other people's, of CPUs that are idle
    pytest.mark.usefixtures("letters"),
]

RATE = 16_000
FAMILY = ("clipsep", "clipsep-nit", "bertsep", "labelsep", "pit")
SIZES = "[network]\nmaps = 4\nlevels = 5\nframes = 32\n"


def made(name: str, sounds: Path, top: str, tables: str = "", sizes: str = SIZES) -> Any:
    path = sounds / "run.toml"
    head = 'manifest = "manifest.csv"\nworkers = 0\nbatch = 4\nwarm_up = 1\ncool_down = 1\n'
    queries = "" if "[queries]" in tables else '[queries]\nencoder = "letters"\n'
    path.write_text(head + top + sizes + queries + tables)
    named = RECIPES[name]
    return named.make(read_settings(path, named.settings))


@pytest.mark.parametrize("name", FAMILY)
def test_a_run_ends_as_a_checkpoint_that_separates(name: str, sounds: Path) -> None:
    recipe = made(name, sounds, 'mixtures = "mixtures.csv"\nsteps = 2\ncheck = 1\n')
    assert Trainer(recipe, sounds / "run", "cpu").fit()
    checkpoint = load(sounds / "run" / "checkpoint.pt")
    assert checkpoint.architecture == name
    assert checkpoint.facts["audio_len"] == 32 * 256 - 1
    assert [point["step"] for point in checkpoint.facts["curve"]] == [1, 2]
    figures, heard = recipe.score(checkpoint.network)
    assert figures["si_sdri_mean"] == checkpoint.facts["curve"][-1]["si_sdri_mean"]
    assert len(heard[0].estimate) == RATE / 2


@pytest.mark.parametrize("name", ["clipsep", "clipsep-nit"])
def test_a_run_begins_with_the_weights_of_a_plain_one(name: str, sounds: Path) -> None:
    assert Trainer(made("clipsep", sounds, "steps = 2\n"), sounds / "one", "cpu").fit()
    recipe = made(name, sounds, 'steps = 2\nstart = "one/checkpoint.pt"\n')
    wanted = load(sounds / "one" / "checkpoint.pt").network.state_dict()
    found = recipe.network.state_dict()
    assert {key.split(".")[0] for key in found.keys() - wanted.keys()} <= {"pit_nets"}
    for key, weights in wanted.items():
        torch.testing.assert_close(found[key], weights, rtol=0, atol=0)
    for other, sizes in (("bertsep", SIZES), (name, SIZES.replace("maps = 4", "maps = 5"))):
        with pytest.raises(ValueError, match="not of this recipe or not of the sizes"):
            made(other, sounds, 'steps = 2\nstart = "one/checkpoint.pt"\n', sizes=sizes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clipsep", "labelsep", "pit"])
def test_one_batch_is_learnt_by_heart(name: str, sounds: Path) -> None:
    recipe = made(name, sounds, "steps = 3\nrate = 0.003\n")
    for key, weights in recipe.network.named_parameters():
        if key == "frame_net.weight":  # gates that differ from the start save a hundred steps
            weights.data.mul_(1e4)
    items = [recipe.examples[number] for number in range(2)]
    batch = {key: torch.from_numpy(np.stack([item[key] for item in items])) for key in items[0]}
    optimiser = recipe.optimisers()[0]
    losses = []
    for _ in range(18):
        optimiser.zero_grad()
        loss = recipe(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2  # masks of a half everywhere cost 0.31


Draw = Callable[..., Pairs]


@pytest.fixture
def pairs(clips: list[Clip]) -> Draw:
    def draw(mixing: Mixing, queries: Queries | None = None) -> Pairs:
        table = QueryTable(clips, queries or Queries(encoder="letters"), 8)
        return Pairs(clips, table, mixing, 4096, 2, seed=5)

    return draw


def loudest(source: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(source)).argmax() * RATE / len(source))


def test_a_pair_is_the_same_whenever_it_is_drawn_and_no_two_are_alike(pairs: Draw) -> None:
    drawn, again = pairs(Mixing()), pairs(Mixing())
    for number in (3, 0, 3):
        for key, value in drawn[number].items():
            assert np.array_equal(value, again[number][key])
    assert not np.array_equal(drawn[0]["sources"], drawn[1]["sources"])


def test_sources_are_of_the_classes_that_queries_and_labels_name(
    pairs: Draw, letters: Any, tones: dict[str, float]
) -> None:
    drawn = pairs(Mixing())
    for number in range(20):
        item = drawn[number]
        assert len(set(item["labels"])) == 2
        for source, query, label in zip(
            *(item[k] for k in ("sources", "queries", "labels")), strict=True
        ):
            name = drawn.classes.labels[label]
            assert np.array_equal(query[:6], letters.encode([f"a {name}"])[0])
            assert not query[6:].any()
            assert np.abs(source).max() <= 0.5 * 0.5 * 1.5 + 1e-3  # level, peak, one of two
            if tones[name]:
                assert loudest(source) == pytest.approx(tones[name], abs=RATE / 4096)


def test_pollution_adds_a_third_class_as_loud_as_it_says(
    pairs: Draw, tones: dict[str, float]
) -> None:
    clean, dirty = pairs(Mixing()), pairs(Mixing(pollution=1.0, pollution_db=0.0))
    for number in range(20):
        item = dirty[number]
        assert np.array_equal(item["labels"], clean[number]["labels"])
        for source, label in zip(item["sources"], item["labels"], strict=True):
            frequency = tones[dirty.classes.labels[label]]
            if not frequency:
                continue
            time = np.arange(4096) / RATE
            basis = np.stack([f(2 * np.pi * frequency * time) for f in (np.sin, np.cos)])
            own = basis.T @ np.linalg.lstsq(basis.T, source, rcond=None)[0]
            ratio = np.square(own).mean() / np.square(source - own).mean()
            assert 10 * np.log10(ratio) == pytest.approx(0, abs=0.5)


def test_classes_of_noise_pollute_and_are_never_asked_for(clips: list[Clip]) -> None:
    asked = [replace(clip, label=f"asked {n}") for n, clip in enumerate([clips[0]] * 3)]
    noise = [
        replace(clip, label=f"noise {n}", path=f"{n}.wav") for n, clip in enumerate(clips[1:3])
    ]
    mixing = Mixing(pollution=1.0, pollution_db=0.0, noise=("noise 0", "noise 1"))
    table = QueryTable(asked + noise, Queries(encoder="letters"), 8)
    drawn = Pairs(asked + noise, table, mixing, 4096, 2, seed=5)
    assert drawn.classes.labels == ["asked 0", "asked 1", "asked 2"]
    for number in range(10):
        spectra = np.abs(np.fft.rfft(drawn[number]["sources"])) ** 2
        bands = [round(f * 4096 / RATE) for f in (1200.0, 4800.0)]
        heard = [[s[b - 4 : b + 5].sum() > 0.2 * s.sum() for b in bands] for s in spectra]
        assert sorted(heard) == [[False, True], [True, False]]  # one each, not the same
    with pytest.raises(ValueError, match=r"mixing\.noise: no class 'hail'"):
        Pairs(clips, table, Mixing(noise=("hail",)), 4096, 2, seed=5)


def test_labels_are_those_of_what_is_asked_for(sounds: Path) -> None:
    tables = '[mixing]\npollution = 0.5\nnoise = ["hiss"]\n'
    with pytest.raises(ValueError, match="found 1 classes, mixtures take at least 2"):
        made("labelsep", sounds, "", tables)
    rows = (sounds / "manifest.csv").read_text()
    (sounds / "manifest.csv").write_text(rows + "hiss.wav,another,another,train\n")
    recipe = made("labelsep", sounds, "", tables.replace('"hiss"', '"hiss", "another"'))
    assert recipe.labels == recipe.examples.classes.labels == ["high", "low", "middle"]
    assert recipe.network.label_net.num_embeddings == 3


def test_pictures_and_words_take_turns_from_step_to_step(
    tmp_path: Path, pairs: Draw, tones: dict[str, float]
) -> None:
    table: Any = {f"{label}.wav": np.full((3, 4), [[1], [2], [6]], np.float32) for label in tones}
    np.savez(tmp_path / "frames.npz", **table)
    asked = Queries(mode="hybrid", encoder="letters", images=tmp_path / "frames.npz")
    drawn = pairs(Mixing(), asked)
    for number in range(8):
        pictured = [query[:4].tolist() == [3, 3, 3, 3] for query in drawn[number]["queries"]]
        assert pictured == [number // 2 % 2 == 0] * 2


def test_sounds_teach_what_words_ask_for(sounds: Path, letters: Any) -> None:
    torch.manual_seed(3)
    mini = ClapMini(ClapMiniSizes(width=2, levels=3, embedding=8, words=6)).eval()
    torch.save(to_checkpoint(mini, "letters"), sounds / "mini.pt")
    told = '[queries]\nmode = "sound"\nclap = "mini.pt"\n'
    recipe = made("clipsep", sounds, 'mixtures = "mixtures.csv"\nsteps = 1\n', told)
    heard = {
        clip.label: clip.samples for clip in load_clips(sounds / "manifest.csv", "train", RATE)
    }
    item = recipe.examples[0]
    for query, number in zip(item["queries"], item["labels"], strict=True):
        audio = torch.from_numpy(heard[recipe.labels[number]] / np.float32(32768))
        assert query[:8] == pytest.approx(mini.sounds(audio[None])[0].detach().numpy(), abs=1e-6)
        assert not query[8:].any()
    words = torch.from_numpy(letters.encode(["a low"]))
    asked = recipe.table.text(recipe.development.mixtures[0].query)
    assert asked[:8] == pytest.approx(mini.texts(words)[0].detach().numpy(), abs=1e-6)
    with pytest.raises(SettingsError, match=r'mode "sound" needs queries\.clap'):
        made("clipsep", sounds, "", '[queries]\nmode = "sound"\n')


def test_queries_that_do_not_fit_are_refused(
    tmp_path: Path, pairs: Draw, clips: list[Clip]
) -> None:
    few: Any = {"low.wav": np.zeros(4, np.float32)}
    np.savez(tmp_path / "frames.npz", **few)
    with pytest.raises(ValueError, match=r"no embeddings of 3 clips, such as middle\.wav"):
        pairs(Mixing(), Queries(mode="image", images=tmp_path / "frames.npz"))
    with pytest.raises(ValueError, match=r"mode image needs queries\.images"):
        pairs(Mixing(), Queries(mode="image"))
    with pytest.raises(ValueError, match="6 numbers, the network takes 5"):
        QueryTable(clips, Queries(encoder="letters"), 5)
