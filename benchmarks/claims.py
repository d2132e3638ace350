"""Whether a recipe does what its paper claims, on data small enough for a few minutes of a CPU.

    python -m soloist.benchmarks.claims NAME --data FOLDER [--seeds 1 2] [-o runs/claims] [--json]

FOLDER holds manifest.csv. Each variant of the claim is trained for each seed, on a class a category
(see `claim_data`), and scored on mixtures of two recordings that it never heard. Runs are kept:
the same command goes on where it was interrupted, and does nothing twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from soundfile import SoundFileError

from ..training.recipes import RECIPES
from ..training.rendering import SOUNDFONT, VOICES, render
from ..training.trainer import RESUME, Diverged, Trainer, Watch, curve
from .claim_data import SmallSet, whole_set, write_small_set
from .claim_list import CLAIMS, Claim, Settings, Variant, merged
from .environment import environment, environment_line


@dataclass(frozen=True)
class Row:
    """What a variant reached: the figure of each seed, and the minutes of all its runs."""

    name: str
    figures: dict[int, float]
    minutes: float

    @property
    def mean(self) -> float:
        return statistics.fmean(self.figures.values())

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; nan of one."""
        several = len(self.figures) > 1
        return statistics.stdev(self.figures.values()) if several else float("nan")


class Runs:
    """Trained networks in a folder, by recipe, settings and seed.

    Args:
        small: what they learn from.
        folder: a folder in it for each run.
        device: as the trainer takes it.
    """

    def __init__(self, small: SmallSet, folder: Path, device: str = "cpu") -> None:
        self.small, self.folder, self.device = small, folder, device

    def figures(self, variant: Variant, common: Settings, seed: int) -> Mapping[str, float]:
        """The last figures of a variant's run, which is trained or taken up where it must be."""
        scored = {"mixtures": self.small.mixtures, "every": 1}
        return self._train(variant, merged(common, variant.settings), seed, scored)[1]

    def _rendered(self, clips: int) -> Path:
        """A manifest of as many clips, the same ones for every seed."""
        folder = self.small.manifest.parent / f"rendered-{clips}"
        manifest = folder / "manifest.csv"
        if not manifest.exists():  # it is written last
            shutil.rmtree(folder, ignore_errors=True)
            voices = len(VOICES.keys() & set(self.small.classes)) / len(self.small.classes)
            render(folder, self.small.manifest, clips, voices, SOUNDFONT, seed=0)
        return manifest

    def _train(
        self, variant: Variant, settings: Settings, seed: int, more: Settings | None = None
    ) -> tuple[Path, Mapping[str, float]]:
        """Trains what a variant needs, and then the variant."""
        places: dict[str, Any] = {}
        found = merged(more or {})
        for key, needed in variant.needs.items():
            folder, _ = self._train(needed, merged(needed.settings), seed)
            places = merged(places, nested(key, folder.name))
            found = merged(found, nested(key, folder / "checkpoint.pt"))
        if variant.rendered:
            rendered = self._rendered(variant.rendered)
            places["also"], found["also"] = [rendered.parent.name], [rendered]
        told = [variant.recipe, merged(settings, places), self.small.classes]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
        folder = self.folder / f"{variant.recipe}-{digest}-seed{seed}"
        named = RECIPES[variant.recipe]
        data = {"manifest": self.small.manifest, "seed": seed}
        run = named.settings.model_validate(merged(settings, data, found))
        kept = (folder / RESUME).exists()
        if kept and (last := curve(folder)[-1])["step"] == run.steps:
            return folder, last
        trainer = Trainer(named.make(run), folder, self.device)
        if kept:
            trainer.resume()
        trainer.fit(_Teller(f"{variant.recipe}, seed {seed}"))
        return folder, trainer.curve[-1]


def nested(key: str, value: object) -> Settings:
    """A setting by its name, such as ``queries.clap``, as a table in tables."""
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


class _Teller(Watch):
    """Prints each score as it comes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def checked(self, figures: Mapping[str, float]) -> None:
        told = ", ".join(f"{name} {figure:g}" for name, figure in figures.items())
        print(f"{self.name}: {told}", file=sys.stderr)


def measure(claim: Claim, runs: Runs, seeds: Sequence[int]) -> list[Row]:
    """Each variant of a claim, seed by seed so that early figures can be compared early."""
    figures: dict[str, dict[int, float]] = {name: {} for name in claim.variants}
    minutes = dict.fromkeys(claim.variants, 0.0)
    for seed in seeds:
        for name, variant in claim.variants.items():
            found = runs.figures(variant, claim.settings, seed)
            figures[name][seed] = found[variant.figure]
            minutes[name] += found["minutes"]
    return [Row(name, figures[name], minutes[name]) for name in claim.variants]


def _data(claim: Claim, name: str, data: Path, output: Path) -> SmallSet:
    """What a claim is tried on: all of a folder of data, or a part of it, written to another."""
    manifest = data / "manifest.csv"
    if claim.whole:
        return whole_set(manifest, data / "dev_mixtures.csv")
    own = claim.noise or claim.classes or claim.each > 1
    folder = output / (f"data-{name}" if own else "data")
    return write_small_set(manifest, folder, claim.noise, claim.classes, claim.places, claim.each)


def _tested(claim: Claim, small: SmallSet) -> str:
    """For people: on what."""
    if claim.whole:
        return f"{small.count} mixtures of {small.mixtures.name}, {len(small.classes)} classes"
    noise = " and noise" if claim.noise else ""
    named = ", ".join(small.classes)
    return f"{small.count} mixtures of two{noise}, {len(small.classes)} classes: {named}"


def table(rows: Sequence[Row]) -> str:
    """For people: a line a variant, and below them what each gains over the first."""
    seeds = list(rows[0].figures)
    lines = [
        f"{'SI-SDRi, dB':<28}{'mean':>8}{'spread':>8}"
        + "".join(f"{f'seed {seed}':>9}" for seed in seeds)
        + f"{'minutes':>9}"
    ]
    for row in rows:
        each = "".join(f"{row.figures[seed]:>9.2f}" for seed in seeds)
        lines.append(f"{row.name:<28}{row.mean:>8.2f}{row.spread:>8.2f}{each}{row.minutes:>9.1f}")
    first = rows[0].figures
    for row in rows[1:]:
        gain = Row(f"gain of {row.name}", {s: row.figures[s] - first[s] for s in seeds}, 0.0)
        each = "".join(f"{gain.figures[seed]:>+9.2f}" for seed in seeds)
        lines.append(f"{gain.name:<28}{gain.mean:>+8.2f}{gain.spread:>8.2f}{each}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score and print; the exit code, 2 for data that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.claims")
    parser.add_argument("name", metavar="NAME", help=", ".join(CLAIMS))
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="default 1 2")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/claims"))
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1, help="of torch; default 1")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    claim = CLAIMS.get(options.name)
    if claim is None:
        print(f"soloist: no claim {options.name!r}; there are {', '.join(CLAIMS)}", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    machine = environment()
    try:
        small = _data(claim, options.name, options.data, options.output)
        rows = measure(claim, Runs(small, options.output, options.device), options.seeds)
    except (Diverged, OSError, SoundFileError, ValueError) as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("soloist: the same command goes on from the last check", file=sys.stderr)
        return 130
    if options.json:
        found = [{**vars(row), "mean": row.mean, "spread": row.spread} for row in rows]
        facts = {"environment": machine, "classes": small.classes, "mixtures": small.count}
        print(json.dumps({"claim": claim.says, **facts, "rows": found}, indent=1))
        return 0
    print(environment_line(machine))
    print(claim.says)
    print(_tested(claim, small))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
