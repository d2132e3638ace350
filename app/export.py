"""`soloist export`: a trained checkpoint and words into a bundle. It needs torch, alone of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import SoloistError
from .console import say
from .outputs import check_writable


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="What training wrote.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The bundle, an .onnx file.")],
    query: Annotated[
        list[str],
        typer.Option("--query", "-q", metavar="WORDS", help="A sound to bake in; repeat it."),
    ],
) -> None:
    """Turn a trained checkpoint into a bundle that plays without torch."""
    try:
        from ..export.solo import export_bundle
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("soloist"):
            raise  # not a missing extra, a broken install of ours
        raise SoloistError(
            f'export needs {error.name}, which is not installed: pip install "soloist[export]"'
        ) from error
    if not checkpoint.is_file():
        raise SoloistError(f"no checkpoint {str(checkpoint)!r}: give a file that training wrote")
    check_writable(output)
    export_bundle(checkpoint, query, output)
    say(f"written: {output}; `soloist info {output}` shows what it promises")
