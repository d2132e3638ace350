"""The recipes of the CLIPSep family on a few seconds of sound: they learn, and play afterwards."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from soloist.separators import load
from soloist.training.clips import Clip
from soloist.training.mixture_list import COLUMNS
from soloist.training.pairs import Mixing, Pairs, Queries, QueryTable
from soloist.training.recipes import RECIPES
from soloist.training.settings import read_settings
from soloist.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("default")  # other people's, of CPUs that are idle

RATE = 16_000
TONES = {"low": 300.0, "middle": 1200.0, "high": 4800.0, "hiss": 0.0}
SIZES = "[network]\nmaps = 4\nlevels = 5\nframes = 32\n"


class LetterEncoder:
    """Each text its own random direction."""

    name, dimension = "letters", 6

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.random.default_rng(list(text.encode())).normal(size=6) for text in texts]
        return np.stack(rows).astype(np.float32)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soloist.training.phrases.load_encoder", lambda name: LetterEncoder())


def tone(frequency: float, seconds: float, rate: int) -> NDArray[np.float64]:
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(3).uniform(-1, 1, len(time))
    return 0.5 * (np.sin(2 * np.pi * frequency * time) if frequency else noise)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four sounds that nobody could take for each other, and a mixture of two to score."""
    for label, frequency in TONES.items():
        soundfile.write(tmp_path / f"{label}.wav", tone(frequency, 1.0, 48_000), 48_000)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "class", "caption", "split"])
        writer.writeheader()
        for label in TONES:
            row = {"path": f"{label}.wav", "class": label, "caption": f"a {label}"}
            writer.writerow(row | {"split": "train"})
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        listed = csv.DictWriter(file, COLUMNS)
        listed.writeheader()
        row = {"target_file": "low.wav", "interferer_files": "high.wav", "query": "a low"}
        row |= {"target_class": "low", "duration_s": "0.5"}
        listed.writerow(dict.fromkeys(COLUMNS, "0") | row)
    return tmp_path


def made(name: str, data: Path, top: str, tables: str = "") -> Any:
    path = data / "run.toml"
    head = 'manifest = "manifest.csv"\nworkers = 0\nbatch = 4\nwarm_up = 1\ncool_down = 1\n'
    queries = "" if "[queries]" in tables else '[queries]\nencoder = "letters"\n'
    path.write_text(head + top + SIZES + queries + tables)
    named = RECIPES[name]
    return named.make(read_settings(path, named.settings))


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_run_ends_as_a_checkpoint_that_separates(name: str, data: Path) -> None:
    recipe = made(name, data, 'mixtures = "mixtures.csv"\nsteps = 2\ncheck = 1\n')
    assert Trainer(recipe, data / "run", "cpu").fit()
    checkpoint = load(data / "run" / "checkpoint.pt")
    assert checkpoint.architecture == name
    assert checkpoint.facts["audio_len"] == 32 * 256 - 1
    assert [point["step"] for point in checkpoint.facts["curve"]] == [1, 2]
    figures, heard = recipe.score(checkpoint.network)
    assert figures["si_sdri_mean"] == checkpoint.facts["curve"][-1]["si_sdri_mean"]
    assert len(heard[0].estimate) == RATE / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clipsep", "labelsep", "pit"])
def test_one_batch_is_learnt_by_heart(name: str, data: Path) -> None:
    recipe = made(name, data, "steps = 3\nrate = 0.003\n")
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


def clips() -> list[Clip]:
    sounds = {label: tone(frequency, 1.0, RATE) for label, frequency in TONES.items()}
    return [
        Clip(f"{label}.wav", label, (f"a {label}",), (32767 * samples).astype(np.int16))
        for label, samples in sounds.items()
    ]


def pairs(mixing: Mixing, queries: Queries | None = None) -> Pairs:
    table = QueryTable(clips(), queries or Queries(encoder="letters"), 8)
    return Pairs(clips(), table, mixing, 4096, 2, seed=5)


def loudest(source: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(source)).argmax() * RATE / len(source))


def test_a_pair_is_the_same_whenever_it_is_drawn_and_no_two_are_alike() -> None:
    drawn, again = pairs(Mixing()), pairs(Mixing())
    for number in (3, 0, 3):
        for key, value in drawn[number].items():
            assert np.array_equal(value, again[number][key])
    assert not np.array_equal(drawn[0]["sources"], drawn[1]["sources"])


def test_sources_are_of_the_classes_that_queries_and_labels_name() -> None:
    drawn = pairs(Mixing())
    for number in range(20):
        item = drawn[number]
        assert len(set(item["labels"])) == 2
        for source, query, label in zip(
            *(item[k] for k in ("sources", "queries", "labels")), strict=True
        ):
            name = drawn.labels[label]
            assert np.array_equal(query[:6], LetterEncoder().encode([f"a {name}"])[0])
            assert not query[6:].any()
            assert np.abs(source).max() <= 0.5 * 0.5 * 1.5 + 1e-3  # level, peak, one of two
            if TONES[name]:
                assert loudest(source) == pytest.approx(TONES[name], abs=RATE / 4096)


def test_pollution_adds_a_third_class_as_loud_as_it_says() -> None:
    clean, dirty = pairs(Mixing()), pairs(Mixing(pollution=1.0, pollution_db=0.0))
    for number in range(20):
        item = dirty[number]
        assert np.array_equal(item["labels"], clean[number]["labels"])
        for source, label in zip(item["sources"], item["labels"], strict=True):
            frequency = TONES[dirty.labels[label]]
            if not frequency:
                continue
            time = np.arange(4096) / RATE
            basis = np.stack([f(2 * np.pi * frequency * time) for f in (np.sin, np.cos)])
            own = basis.T @ np.linalg.lstsq(basis.T, source, rcond=None)[0]
            ratio = np.square(own).mean() / np.square(source - own).mean()
            assert 10 * np.log10(ratio) == pytest.approx(0, abs=0.5)


def test_pictures_and_words_take_turns_from_step_to_step(tmp_path: Path) -> None:
    table: Any = {f"{label}.wav": np.full((3, 4), [[1], [2], [6]], np.float32) for label in TONES}
    np.savez(tmp_path / "frames.npz", **table)
    asked = Queries(mode="hybrid", encoder="letters", images=tmp_path / "frames.npz")
    drawn = pairs(Mixing(), asked)
    for number in range(8):
        pictured = [query[:4].tolist() == [3, 3, 3, 3] for query in drawn[number]["queries"]]
        assert pictured == [number // 2 % 2 == 0] * 2


def test_queries_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    few: Any = {"low.wav": np.zeros(4, np.float32)}
    np.savez(tmp_path / "frames.npz", **few)
    with pytest.raises(ValueError, match=r"no embeddings of 3 clips, such as middle\.wav"):
        pairs(Mixing(), Queries(mode="image", images=tmp_path / "frames.npz"))
    with pytest.raises(ValueError, match=r"mode image needs queries\.images"):
        pairs(Mixing(), Queries(mode="image"))
    with pytest.raises(ValueError, match="6 numbers, the network takes 5"):
        QueryTable(clips(), Queries(encoder="letters"), 5)
