"""`soloist queries`: the words a model was trained on, and what is closest to other words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..runtime.bundle import Bundle
from ..runtime.errors import QueryError
from ..runtime.queries import TextEncoder, check_words, open_encoder
from ..runtime.vocabulary import Vocabulary
from ..separators.encoders import load_encoder
from .console import emit_json, say
from .options import SHIPPED, Json, Model, encodable

_FRAMES = ("the sound of {}", "recording of {}", "{} can be heard")


def queries(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]...",
            callback=encodable,
            help="Words to look up, in quotes where several.",
        ),
    ] = None,
    model: Model = SHIPPED,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, help="How many neighbours to show.")
    ] = 5,
    as_json: Json = False,
) -> None:
    """List the words a model was trained on, or those closest to WORDS."""
    bundle = Bundle.open(model)
    vocabulary = bundle.vocabulary
    if vocabulary is None:
        raise QueryError(f"the model {bundle.spec.name!r} carries no list of words")
    if not words:
        _list(vocabulary, as_json)
        return
    for asked in words:
        check_words([asked])
    encoder = None
    if any(vocabulary.find(asked) is None for asked in words):
        encoder = _encoder(vocabulary)
    found = {asked: _neighbours(vocabulary, encoder, asked, count) for asked in words}
    if as_json:
        emit_json({a: [{"phrase": p, "score": s} for p, s in near] for a, near in found.items()})
        return
    for asked, near in found.items():
        print(f"{asked}{':' if vocabulary.find(asked) is None else ' is known; closest:'}")
        for phrase, score in near:
            print(f"  {score:5.2f}  {phrase}")


def _list(vocabulary: Vocabulary, as_json: bool) -> None:
    if as_json:
        emit_json(vocabulary.classes)
        return
    for name, phrases in vocabulary.classes.items():
        print(f"{name.replace('_', ' ')}: {', '.join(_plain(phrases))}")


def _plain(phrases: Sequence[str]) -> list[str]:
    """The phrases without those that only frame another one of them."""
    framed = {frame.format(phrase) for phrase in phrases for frame in _FRAMES}
    return [phrase for phrase in phrases if phrase not in framed]


def _encoder(vocabulary: Vocabulary) -> TextEncoder | None:
    """The encoder of the words' meaning; where it cannot be had, None and a line to people."""
    try:
        return open_encoder(vocabulary.encoder, load_encoder)
    except QueryError as error:
        say(f"by spelling, not by meaning: {error}")
        return None


def _neighbours(
    vocabulary: Vocabulary, encoder: TextEncoder | None, asked: str, count: int
) -> list[tuple[str, float]]:
    """By meaning for a known phrase or with an encoder, else by spelling."""
    if encoder is None or vocabulary.find(asked) is not None:
        return vocabulary.nearest(asked, count)
    return vocabulary.nearest(encoder.encode([asked])[0], count)
