"""`soloist export`: a trained checkpoint and words into a bundle. It needs torch, alone of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import SoloistError
from ..runtime.spec import Precision
from .checkpoints import asked_of_checkpoint, check_checkpoint, extra
from .console import say
from .options import EncoderWeights, Prompts, QueryEmbedding, encodable
from .outputs import check_writable


def export(
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="solo, clipsep, clipsep-nit, bimodal, ...")
    ],
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="What training wrote.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The bundle, an .onnx file.")
    ],
    query: Annotated[
        list[str] | None,
        typer.Option(
            "--query",
            "--positive",
            "-q",
            metavar="WORDS",
            callback=encodable,
            help="A sound to bake in; repeat it. Published systems take mixes, too: "
            "'violin + 0.5*image:viola.jpg - speech'.",
        ),
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(
            "--negative",
            "--not",
            metavar="WORDS",
            callback=encodable,
            help="What no sound asked for is like; repeat it. Published systems only.",
        ),
    ] = None,
    query_embedding: QueryEmbedding = None,
    prompts: Prompts = "photo",
    encoder_weights: EncoderWeights = None,
    advance: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="FRAMES", help="From one window to the next; else as it suits."
        ),
    ] = None,
    crossfade: Annotated[
        int | None, typer.Option(min=0, metavar="FRAMES", help="In which windows take over.")
    ] = None,
    lookahead: Annotated[
        int, typer.Option(min=0, metavar="FRAMES", help="Of a window, newer than those it gives.")
    ] = 0,
    room: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="FRAMES", help="More of a window, so that players choose; slower."
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="All frames of a window; slower still."),
    ] = False,
    window: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="SECONDS", help="Length of a window, else training's; not all systems."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What the bundle calls itself; else SYSTEM.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="FILE", help="Markdown to carry inside.")
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option(help="Of the large weights; int8 is quicker and nearly the same."),
    ] = "fp32",
    listener: Annotated[
        Path | None,
        typer.Option(
            "--listener", metavar="CHECKPOINT", help="What `train listener` wrote, for solo."
        ),
    ] = None,
) -> None:
    """Turn a trained checkpoint into a bundle that plays without torch.

    docs/published-separators.md says what can be exported, and from which files.
    """
    with extra("export", "export"):
        from ..export.systems import export_system
        from ..export.windowed import Windows
    check_checkpoint(checkpoint)
    if listener is not None:
        check_checkpoint(listener)
    check_writable(output)
    text = _read(card) if card else None
    asked = asked_of_checkpoint(query, query_embedding, prompts, encoder_weights, negative)
    spec = export_system(
        system,
        checkpoint,
        asked,
        output,
        Windows(advance, crossfade, lookahead, room, whole, window),
        name=name,
        card=text,
        precision=precision,
        listener=listener,
    )
    figures = ", ".join(f"{figure} {value:.3g}" for figure, value in spec.parity.items())
    say(f"written: {output}; against torch: {figures}")


def _read(card: Path) -> str:
    try:
        return card.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SoloistError(f"cannot read the card {str(card)!r}: {reason}") from error
