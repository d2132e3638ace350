"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..runtime.errors import QueryError
from ..streaming.parameters import mixer_parameters

PROMPTS = ("photo", "plain", "ensemble", "ensemble-4")
"""As in separators/prompts.py, which needs torch."""


def encodable(words: list[str] | None) -> list[str] | None:
    """The queries as they are. Raises `QueryError` where bytes came that are no UTF-8 text."""
    for query in words or ():
        try:
            query.encode("utf-8")
        except UnicodeEncodeError as error:
            raise QueryError(f"the query {query!r} is no UTF-8 text; type it again") from error
    return words


def level(text: str) -> float:
    """A gain in dB as people type it: 3, "-6 dB", "-inf"."""
    try:
        return GAIN.value(text)
    except ValueError as error:
        raise typer.BadParameter(str(error).partition(": ")[2]) from error


def known_prompts(name: str) -> str:
    """The name as it is, where prompts are called so."""
    if name not in PROMPTS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(PROMPTS)}")
    return name


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
Gain = Annotated[
    list[float] | None,
    typer.Option(
        "--gain",
        metavar="DB",
        parser=level,
        help="Level of the sound asked for; repeat it for one of each of several.",
    ),
]
Rest = Annotated[
    float | None,
    typer.Option(
        "--rest", metavar="DB", parser=level, help="Level of all but that, such as -12 or -inf."
    ),
]
Linked = Annotated[
    bool,
    typer.Option(
        "--linked/--independent",
        help="One mask for all channels, which keeps the stereo image, or one for each.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|cuda", help="Where the network runs; auto takes a GPU if any."
    ),
]
QueryEmbedding = Annotated[
    list[str] | None,
    typer.Option(
        "--query-embedding",
        metavar="[NAME=]FILE",
        callback=encodable,
        help="A sound by its embedding, as a file; repeat it for several.",
    ),
]
Prompts = Annotated[
    str,
    typer.Option(
        callback=known_prompts,
        metavar="|".join(PROMPTS),
        help="What CLIP is told around the words.",
    ),
]
EncoderWeights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|FOLDER",
        help="Weights or vocabulary of the text encoder; else from its usual hub.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout.")]

GAIN = mixer_parameters(1)[0]
SHIPPED = "solo"  # the model that every command takes unless told otherwise


def gain_of_each(gain: Sequence[float] | None, sounds: int) -> list[float]:
    """A gain in dB for each sound, where one was given for all or one for each; else none.

    Raises `QueryError` for another number of them.
    """
    if not gain:
        return []
    if len(gain) not in (1, sounds):
        raise QueryError(
            f"--gain is there {len(gain)} times for {sounds} sound{'s' * (sounds > 1)}: give one "
            "for all or one for each"
        )
    return [*gain] * (sounds // len(gain))


def levels(queries: int, gain: Sequence[float] | None, rest: float | None) -> dict[str, float]:
    """Gains in dB by parameter, over those that keeping or removing sets; None leaves one alone.

    Raises `QueryError` as `gain_of_each`.
    """
    each = gain_of_each(gain, queries)
    state = {f"stem{number}.gain": value for number, value in enumerate(each, 1)}
    return state if rest is None else state | {"residual.gain": rest}
