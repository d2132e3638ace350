"""`soloist evaluate`: a model's figures over a list of mixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..runtime.bundle import Bundle
from .console import answer, emit_json, progress_bar, say, to_json
from .evaluation import evaluate_model, summary
from .options import SHIPPED, Device, Model
from .outputs import check_writable, write_text


def evaluate(
    mixtures: Annotated[Path, typer.Option("--mixtures", metavar="CSV", help="The list.")],
    audio_root: Annotated[
        Path, typer.Option("--audio-root", metavar="DIR", help="Where the list's clips lie.")
    ],
    model: Model = SHIPPED,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the figures there; - for stdout."),
    ] = None,
    device: Device = "auto",
    trailing: Annotated[
        int | None,
        typer.Option(
            "--trailing",
            metavar="FRAMES",
            min=1,
            max=8192,
            help="As `live --schedule trailing` plays it with blocks of so many frames.",
        ),
    ] = None,
) -> None:
    """Stream every mixture of a list through a model and report what it gained."""
    to_stdout = json_file == Path("-")
    if json_file and not to_stdout:
        check_writable(json_file)
    bundle = Bundle.open(model)
    scores = []
    with progress_bar(mixtures.name) as bar:
        for score, done in evaluate_model(bundle, mixtures, audio_root, device, trailing):
            scores.append(score)
            bar(done)
    report = summary(scores)
    if to_stdout:
        emit_json(report)
        return
    _print(report)
    if json_file:
        write_text(json_file, to_json(report) + "\n")
        say(f"written: {json_file}")


def _print(report: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "n", "SI-SDR dB", "SI-SDRi dB", "median", "SDRi dB"):
        table.add_column(heading, justify="left" if not heading else "right")
    groups = {
        **{name.replace("_", " "): g for name, g in report["by_class"].items()},
        **{f"{name} sources": g for name, g in report["by_n_sources"].items()},
        **{f"{name} words": g for name, g in report["by_query_kind"].items()},
        "all with a target": report | {"n": report["n"] - report["n_absent"]},
    }
    for name, group in groups.items():
        figures = (group[k] for k in ("si_sdr_mean", "si_sdri_mean", "si_sdri_median", "sdri_mean"))
        table.add_row(name, str(group["n"]), *(f"{figure:.2f}" for figure in figures))
    answer.print(table)
    if report["n_absent"]:
        level = report["absent_attenuation_db_mean"]
        answer.print(f"{report['n_absent']} with nothing to find: attenuated by {level:.1f} dB")
