"""A part of a training set on which a claim can be tried in minutes: few classes, far apart."""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..training.clips import read_manifest
from ..training.mixture_list import COLUMNS, read_mixtures
from ..training.tables import Row

SECONDS = 4.0  # of a mixture
_LEAST_S, _LEAST_CLIPS = 2.0, 2  # of sound in a clip to test on; of such clips in a class
_SNR_DB = 5.0  # of a mixture, at most, either way
_NEEDED = ("path", "class", "caption", "split", "category", "kind", "active_s")


@dataclass(frozen=True)
class SmallSet:
    """Files that a recipe's settings name, and what is in them."""

    manifest: Path
    mixtures: Path
    classes: tuple[str, ...]
    count: int


def write_small_set(
    manifest: Path,
    folder: Path,
    noise: Sequence[str] = (),
    classes: Sequence[str] = (),
    places: Sequence[Sequence[str]] = (),
    each: int = 1,
) -> SmallSet:
    """Writes a manifest of one class a category, and a list of mixtures of its clips to test on.

    Unless ``classes`` are given, the class of a category is the one with the most seconds of real
    recordings to learn from, of those with at least two clips of two seconds to test on. The
    mixtures are of each class against each other one, at -5 to 5 dB, asked for by its plain name;
    chance is seeded, so that the same manifest gives the same list.

    Args:
        manifest: with the columns category, kind and active_s beside those of training.
        folder: for the two files, made if it is not there.
        noise: classes among them that nobody asks for: each mixture holds a clip of one besides.
        classes: those to take.
        places: groups of these classes; only classes of one group then meet in a mixture.
        each: mixtures of each pair of classes, the two in either order.

    Raises:
        ValueError: the manifest cannot be read, lacks columns, or has too few classes.
    """
    rows = _read(manifest)
    categories = [found for found in _fit(rows).values() if found]
    fit = sorted(name for found in categories for name in found)
    taken = sorted(classes or (max(found, key=lambda name: found[name]) for found in categories))
    for what, names, there in (("tested", taken, fit), ("noise", noise, taken)):
        missing = [name for name in names if name not in there]
        if missing:
            raise ValueError(f"{manifest} has no {missing[0]!r} fit to be {what}; found {there}")
    if len(taken) < 3:
        raise ValueError(
            f"found {len(taken)} categories with a class that has {_LEAST_CLIPS} dev clips of "
            f"{_LEAST_S:g} s; expected at least 3"
        )
    chosen = [row for row in rows if row["class"] in taken]
    folder.mkdir(parents=True, exist_ok=True)
    small = folder / "manifest.csv"
    with small.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _NEEDED, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)
    asked = [[name for name in place if name not in noise] for place in places or [taken]]
    pairs = [pair for place in asked for pair in itertools.permutations(place, 2)] * each
    mixtures = list(_mixtures(pairs, [row for row in chosen if _can_test(row)], noise))
    listed = folder / "mixtures.csv"
    with listed.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(mixtures)
    return SmallSet(small, listed, tuple(taken), len(mixtures))


def whole_set(manifest: Path, mixtures: Path) -> SmallSet:
    """All classes of a manifest, a list of mixtures as it is; `ValueError` as in reading these."""
    classes = sorted({row["class"] for row in read_manifest(manifest, ("class",))})
    return SmallSet(manifest, mixtures, tuple(classes), len(read_mixtures(mixtures)))


def _read(manifest: Path) -> list[Row]:
    """The rows, with absolute paths."""
    root = manifest.parent.absolute()
    rows = read_manifest(manifest, _NEEDED)
    return [{**row, "path": str(root / row["path"])} for row in rows]


def _can_test(row: Row) -> bool:
    return row["split"] == "dev" and float(row["active_s"]) >= _LEAST_S


def _fit(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Of each category, the classes that can be tested and their seconds of recordings to learn."""
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    tests: dict[str, int] = defaultdict(int)
    for row in rows:
        tests[row["class"]] += _can_test(row)
        if row["split"] == "train" and row["kind"] == "real":
            seconds[row["category"]][row["class"]] += float(row["active_s"])
    return {
        category: {name: total for name, total in classes.items() if tests[name] >= _LEAST_CLIPS}
        for category, classes in seconds.items()
    }


def _mixtures(
    pairs: Sequence[tuple[str, str]], clips: Sequence[Row], noise: Sequence[str]
) -> list[dict[str, str]]:
    random = np.random.default_rng(0)
    files: dict[str, list[str]] = defaultdict(list)
    for row in clips:
        files[row["class"]].append(row["path"])
    listed = []
    for number, pair in enumerate(pairs):
        wanted = pair[0]
        names = [*pair, *([str(random.choice(noise))] if noise else [])]
        target, *interferers = (str(random.choice(files[name])) for name in names)
        listed.append(
            dict.fromkeys(COLUMNS, "0")
            | {
                "id": f"claim{number:03}",
                "target_file": target,
                "target_class": wanted,
                "interferer_files": "|".join(interferers),
                "interferer_starts_s": "|".join(["0"] * len(interferers)),
                "interferer_offsets_s": "|".join(["0"] * len(interferers)),
                "snr_db": f"{random.uniform(-_SNR_DB, _SNR_DB):.1f}",
                "duration_s": f"{SECONDS:g}",
                "query": wanted.replace("_", " "),
                "query_kind": "seen",
                "n_sources": str(len(names)),
            }
        )
    return listed
