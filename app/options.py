"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from typing import Annotated

import typer

from ..runtime.errors import QueryError


def encodable(words: list[str] | None) -> list[str] | None:
    """The queries as they are. Raises `QueryError` where bytes came that are no UTF-8 text."""
    for query in words or ():
        try:
            query.encode("utf-8")
        except UnicodeEncodeError as error:
            raise QueryError(f"the query {query!r} is no UTF-8 text; type it again") from error
    return words


Model = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|FILE", help="A shipped model or a bundle.")
]
Queries = Annotated[
    list[str] | None,
    typer.Option(
        "--query",
        "-q",
        metavar="WORDS",
        callback=encodable,
        help="A sound to ask for; repeat it for several. Without: what the model was made for.",
    ),
]
Unwanted = Annotated[
    list[str] | None,
    typer.Option(
        "--not",
        metavar="WORDS",
        callback=encodable,
        help="A sound that is not wanted and may be taken for the one that is; repeat it.",
    ),
]
Keep = Annotated[
    bool, typer.Option("--keep/--remove", help="Hear the sound asked for, or all but that.")
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|cuda", help="Where the network runs; auto takes a GPU if any."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout.")]

SHIPPED = "solo"  # the model that every command takes unless told otherwise
