"""`soloist export`: a trained checkpoint and words into a bundle. It needs torch, alone of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import SoloistError
from ..runtime.spec import Precision
from .console import say
from .options import encodable
from .outputs import check_writable


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="What training wrote.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The bundle, an .onnx file.")],
    query: Annotated[
        list[str],
        typer.Option(
            "--query",
            "-q",
            metavar="WORDS",
            callback=encodable,
            help="A sound to bake in; repeat it.",
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="What the bundle calls itself.")] = "solo",
    card: Annotated[
        Path | None, typer.Option("--card", metavar="FILE", help="Markdown to carry inside.")
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(help="Of the large weights; int8 is quicker and nearly the same."),
    ] = "fp32",
) -> None:
    """Turn a trained checkpoint into a bundle that plays without torch."""
    try:
        from ..export.solo import export_bundle
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__name__.split(".")[0]):
            raise  # a broken install of ours, not a missing extra
        raise SoloistError(
            f'export needs {error.name}, which is not installed: pip install "soloist[export]"'
        ) from error
    try:
        found = "" if checkpoint.is_file() else "no such file"
    except OSError as error:  # such as a name that is too long
        found = error.strerror or str(error)
    if found:
        raise SoloistError(
            f"no checkpoint {str(checkpoint)!r}: {found}; give a file that training wrote"
        )
    check_writable(output)
    text = _read(card) if card else None
    spec = export_bundle(checkpoint, query, output, name=name, card=text, precision=precision)
    figures = ", ".join(f"{figure} {value:.3g}" for figure, value in spec.parity.items())
    say(f"written: {output}; against torch: {figures}")


def _read(card: Path) -> str:
    try:
        return card.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SoloistError(f"cannot read the card {str(card)!r}: {reason}") from error
