"""Claims: what is trained on what, once, and how rows are compared."""

import csv
import importlib.util
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import torch

from soloist.benchmarks import claims
from soloist.benchmarks.claim_data import SmallSet, write_small_set
from soloist.benchmarks.claim_list import CLAIMS, Claim, Variant, merged
from soloist.training.mixture_list import read_mixtures, render
from soloist.training.recipes import RECIPES, Named
from soloist.training.settings import Run, Table

SPEC = importlib.util.spec_from_file_location(
    "line_recipe", Path(__file__).parents[1] / "training" / "line_recipe.py"
)
assert SPEC is not None and SPEC.loader is not None
line = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(line)

pytestmark = pytest.mark.filterwarnings("default")  # other people's, of CPUs that are idle

HEAD = ["path", "class", "caption", "split", "category", "kind", "active_s", "licence"]


def write_manifest(folder: Path, rows: list[tuple[str, str, str, float, int]]) -> Path:
    """Rows of class, category, kind, seconds to learn from, and how many clips to test on."""
    random = np.random.default_rng(0)
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for name, category, kind, seconds, tests in rows:
            splits = ["train", *["dev"] * tests]
            for number, split in enumerate(splits):
                active = seconds if split == "train" else 2.5
                clip = f"{name}{number}.wav"
                writer.writerow([clip, name, f"a {name}", split, category, kind, active, "CC0"])
                samples = random.uniform(-0.5, 0.5, 120_000) if split == "dev" else np.zeros(960)
                soundfile.write(folder / clip, samples, 48_000)
    return path


ROWS = [
    ("cat", "animal", "real", 30.0, 2),
    ("cow", "animal", "real", 50.0, 1),  # more to learn from, too few to test on
    ("oboe", "instrument", "synthetic", 90.0, 2),  # not recorded
    ("cello", "instrument", "real", 10.0, 3),
    ("rain", "nature", "real", 20.0, 2),
    ("wind", "nature", "real", 19.0, 2),
    ("whale", "sea", "real", 5.0, 0),  # of a category that cannot be tested
]


def test_the_small_set_is_the_best_recorded_class_of_each_category(tmp_path: Path) -> None:
    small = write_small_set(write_manifest(tmp_path, ROWS), tmp_path / "small")
    assert small.classes == ("cat", "cello", "rain")
    with small.manifest.open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert {row["class"] for row in kept} == set(small.classes)
    assert sum(row["split"] == "train" for row in kept) == 3
    mixtures = read_mixtures(small.mixtures)
    pairs = {(m.target_class, Path(m.interferers[0].file).stem[:-1]) for m in mixtures}
    assert small.count == len(pairs) == 6
    assert all(wanted != other for wanted, other in pairs)
    assert all(-5 <= m.snr_db <= 5 and m.query == m.target_class for m in mixtures)
    audio, target = render(mixtures[0], small.mixtures.parent)  # clips are found from anywhere
    assert len(audio) == 4 * 48_000
    assert target.any()


def test_manifests_that_claims_cannot_be_tried_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the manifest"):
        write_small_set(tmp_path / "none.csv", tmp_path)
    (tmp_path / "plain.csv").write_text("path,class,caption,split\n")
    with pytest.raises(ValueError, match="no column category, kind, active_s"):
        write_small_set(tmp_path / "plain.csv", tmp_path)
    with pytest.raises(ValueError, match="found 2 categories"):
        write_small_set(write_manifest(tmp_path, ROWS[:4]), tmp_path)
    with pytest.raises(ValueError, match="no 'cow' fit to be tested"):
        write_small_set(write_manifest(tmp_path, ROWS), tmp_path, classes=["cat", "rain", "cow"])


def test_classes_may_be_of_one_category(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, ROWS)
    small = write_small_set(manifest, tmp_path / "small", classes=["wind", "rain", "cat"])
    assert small.classes == ("cat", "rain", "wind")
    assert {m.target_class for m in read_mixtures(small.mixtures)} == set(small.classes)


def test_only_sounds_of_one_place_meet_and_as_often_as_is_told(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, ROWS)
    places = [["cat", "rain"], ["wind", "cello"]]
    classes = [name for place in places for name in place]
    small = write_small_set(manifest, tmp_path / "small", (), classes, places, each=3)
    listed = read_mixtures(small.mixtures)
    met = Counter((m.target_class, Path(m.interferers[0].file).stem[:-1]) for m in listed)
    assert met == {pair: 3 for one, other in places for pair in ((one, other), (other, one))}
    assert small.count == 12


class Within(Table):
    other: Path | None = None


class Told(Run):
    other: Path | None = None
    within: Within = Within()
    also: tuple[Path, ...] = ()


class Counted(line.Line):  # type: ignore[misc, name-defined]
    """A line that counts the steps that were taken, and says what it was told."""

    steps: ClassVar[Counter[tuple[float, int]]] = Counter()

    def forward(self, batch: Any) -> Any:
        self.steps[self.settings.rate, self.settings.seed] += 1
        return super().forward(batch)

    def score(self, network: Any) -> tuple[dict[str, float], list[Any]]:
        figures, _ = super().score(network)
        other = self.settings.other
        loaded = 0.0 if other is None else torch.load(other)["weights"]["weight"].item()
        heard = sum(path.is_file() for path in self.settings.also)
        told = {"other": loaded, "seed": float(self.settings.seed), "heard": float(heard)}
        return figures | told, []


RUN: Mapping[str, Any] = {"steps": 8, "warm_up": 1, "cool_down": 1, "check": 4, "workers": 0}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> claims.Runs:
    monkeypatch.setitem(RECIPES, "line", Named(Told, Counted))
    monkeypatch.setattr(Counted, "steps", Counter())
    (tmp_path / "manifest.csv").touch()
    mixtures = tmp_path / "mixtures.csv"
    return claims.Runs(SmallSet(tmp_path / "manifest.csv", mixtures, ("a",), 1), tmp_path)


def test_each_run_is_trained_once_and_what_another_needs_before_it(runs: claims.Runs) -> None:
    slow = Variant("line", {"rate": 0.001}, "slope")
    fast = Variant("line", {"rate": 0.2}, "slope")
    needing = Variant("line", {"rate": 0.001}, "other", {"other": Variant("line", {**RUN})})
    same = Variant("line", {"rate": 0.2}, figure="seed")
    claim = Claim("steep", RUN, {"slow": slow, "fast": fast, "same": same, "needing": needing})
    rows = {row.name: row for row in claims.measure(claim, runs, [1, 2])}
    assert rows["fast"].mean > rows["slow"].mean + 0.1
    assert rows["same"].figures == {1: 1.0, 2: 2.0}
    assert rows["needing"].mean == pytest.approx(rows["slow"].mean, abs=0.05)
    taken = {(rate, seed): 8 * n for rate, n in ((0.001, 3), (0.2, 1)) for seed in (1, 2)}
    assert Counted.steps == taken
    again = claims.measure(claim, runs, [1, 2])
    assert {row.name: row for row in again} == rows
    assert Counted.steps == taken


def test_what_is_needed_may_need_more_and_settings_may_lie_in_tables(runs: claims.Runs) -> None:
    first = Variant("line", {**RUN, "rate": 0.002})
    second = Variant("line", {**RUN, "rate": 0.003}, needs={"within.other": first})
    third = Variant("line", {"rate": 0.004}, "other", {"other": second})
    rows = claims.measure(Claim("a chain", RUN, {"third": third}), runs, [1])
    assert Counted.steps == {(rate, 1): 8 for rate in (0.002, 0.003, 0.004)}
    assert rows[0].figures[1] != 0.0
    assert claims.nested("within.other", 3) == {"within": {"other": 3}}


def test_rendered_clips_are_made_once_and_learnt_from(
    runs: claims.Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, float]] = []

    def render(folder: Path, like: Path, clips: int, voices: float, *_: Any, **__: Any) -> None:
        assert like == runs.small.manifest
        assert not folder.exists()
        folder.mkdir()
        (folder / "half").touch()
        made.append((clips, voices))
        if len(made) > 1:
            (folder / "manifest.csv").touch()
        else:
            raise OSError("interrupted")

    monkeypatch.setattr(claims, "render", render)
    monkeypatch.setattr(claims, "VOICES", {"a": "f", "b": "m"})
    claim = Claim("more", RUN, {"more": Variant("line", figure="heard", rendered=30)})
    with pytest.raises(OSError, match="interrupted"):
        claims.measure(claim, runs, [1])
    assert claims.measure(claim, runs, [1, 2])[0].figures == {1: 1.0, 2: 1.0}
    assert made == [(30, 1.0), (30, 1.0)]


def test_settings_are_merged_table_by_table() -> None:
    first = {"steps": 3, "network": {"maps": 2, "levels": 5}}
    second = {"network": {"maps": 4}, "batch": 1}
    assert merged(first, second) == {
        "steps": 3,
        "network": {"maps": 4, "levels": 5},
        "batch": 1,
    }
    assert first["network"] == {"maps": 2, "levels": 5}


def test_the_table_says_what_each_gains_over_the_first() -> None:
    rows = [
        claims.Row("plain", {1: 2.0, 2: 3.0}, 1.0),
        claims.Row("nit", {1: 2.5, 2: 4.5}, 2.0),
        claims.Row("other", {1: 1.0, 2: 3.0}, 2.0),
    ]
    lines = claims.table(rows).splitlines()
    assert lines[1].split() == ["plain", "2.50", "0.71", "2.00", "3.00", "1.0"]
    assert lines[4].split() == ["gain", "of", "nit", "+1.00", "0.71", "+0.50", "+1.50"]
    assert lines[5].split() == ["gain", "of", "other", "-0.50", "0.71", "-1.00", "+0.00"]


@pytest.mark.parametrize("name", list(CLAIMS))
def test_settings_of_the_claims_are_those_of_their_recipes(name: str) -> None:
    claim = CLAIMS[name]
    assert len(claim.variants) > 1
    to_check: list[tuple[Variant, Mapping[str, Any]]] = [
        (variant, merged(claim.settings, variant.settings)) for variant in claim.variants.values()
    ]
    while to_check:
        variant, told = to_check.pop()
        paths = (claims.nested(key, "m") for key in ("manifest", *variant.needs))
        RECIPES[variant.recipe].settings.model_validate(merged(told, *paths))
        to_check += [(needed, needed.settings) for needed in variant.needs.values()]


@pytest.mark.parametrize(
    ("name", "row", "first"),
    [
        ("weak", "unsupervised, remixed", "unsupervised"),
        ("weak", "weak, remixed", "weak"),
        ("weak", "supervised, as long", "supervised"),
        ("weak-taught", "weak, remixed", "weak"),
    ],
)
def test_rows_that_go_on_begin_where_an_earlier_row_ends(name: str, row: str, first: str) -> None:
    claim = CLAIMS[name]
    begun, ended = claim.variants[row].needs["start"], claim.variants[first]
    assert begun.settings == merged(claim.settings, ended.settings)
    assert begun.recipe == ended.recipe
    assert begun.needs == ended.needs
    order = list(claim.variants)
    assert order.index(first) < order.index(row)  # else it would be trained without being scored


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert claims.main(["nothing", "--data", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err == f"soloist: no claim 'nothing'; there are {', '.join(CLAIMS)}\n"
    )
    assert claims.main(["nit", "--data", str(tmp_path), "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("soloist: cannot read the manifest")


def test_the_program_prints_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "line", Named(Told, Counted))
    claim = Claim("steep", RUN, {"one": Variant("line", figure="seed")})
    monkeypatch.setitem(CLAIMS, "line", claim)
    write_manifest(tmp_path, ROWS)
    command = ["line", "--data", str(tmp_path), "-o", str(tmp_path / "out"), "--seeds", "3"]
    assert claims.main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][0]["figures"] == {"3": 3.0}
    assert told["mixtures"] == 6
    assert claims.main(command) == 0
    assert "6 mixtures of two, 3 classes: cat, cello, rain" in capsys.readouterr().out


def test_a_claim_may_be_of_all_recordings_and_of_mixtures_as_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "line", Named(Told, Counted))
    one = {"one": Variant("line", figure="seed")}
    monkeypatch.setitem(CLAIMS, "line", Claim("steep", RUN, one, whole=True))
    command = ["line", "--data", str(tmp_path), "-o", str(tmp_path / "out"), "--seeds", "3"]
    manifest = write_manifest(tmp_path, ROWS)
    assert claims.main(command) == 2
    assert "dev_mixtures.csv" in capsys.readouterr().err
    listed = write_small_set(manifest, tmp_path / "small").mixtures.read_text().splitlines(True)
    (tmp_path / "dev_mixtures.csv").write_text("".join(listed[:4]))
    assert claims.main(command) == 0
    assert f"3 mixtures of dev_mixtures.csv, {len(ROWS)} classes\n" in capsys.readouterr().out
    assert not (tmp_path / "out" / "data").exists()


def test_noise_is_in_each_mixture_and_never_asked_for(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, ROWS)
    quiet = write_small_set(manifest, tmp_path / "quiet")
    noise = quiet.classes[0]
    small = write_small_set(manifest, tmp_path / "noisy", [noise])
    others = len(small.classes) - 1
    listed = read_mixtures(small.mixtures)
    assert len(listed) == small.count == others * (others - 1)
    for mixture in listed:
        assert noise not in mixture.query
        files = [Path(clip.file).name for clip in mixture.interferers]
        assert len(files) == 2
        assert sum(name.startswith(noise) for name in files) == 1
        render(mixture, tmp_path)
    with pytest.raises(ValueError, match="no 'hail' fit to be noise"):
        write_small_set(manifest, tmp_path / "none", ["hail"])
