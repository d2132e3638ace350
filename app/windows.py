"""Options of windowed models: how often they run and how far they look ahead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from ..runtime.spec import Spec


@dataclass(frozen=True)
class Span:
    """So many frames of a model, or so many milliseconds."""

    number: float
    unit: str

    def frames(self, spec: Spec) -> int:
        """In whole frames of that model, the nearest number."""
        if self.unit == "ms":
            return round(self.number / 1000 * spec.sample_rate / spec.frames.hop)
        return int(self.number)

    def __str__(self) -> str:
        """As `span` reads it."""
        return f"{self.number:.12g}{'ms' if self.unit == 'ms' else ''}"


def span(text: str) -> Span:
    """Read "16" as frames and "250ms" or "250 ms" as time."""
    match = re.fullmatch(r"\s*(\d+|\d+(?:\.\d*)?\s*ms)\s*", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is neither frames, such as 16, nor time, such as 250ms")
    number = match[1].removesuffix("ms")
    return Span(float(number), "frames" if number == match[1] else "ms")


Advance = Annotated[
    Span | None,
    typer.Option(
        "--advance",
        metavar="FRAMES|MS",
        parser=span,
        help="Windowed models: how far windows are apart, such as 16 or 250ms.",
    ),
]
Lookahead = Annotated[
    Span | None,
    typer.Option(
        "--lookahead",
        metavar="FRAMES|MS",
        parser=span,
        help="Windowed models: how much they hear after what they separate.",
    ),
]


def in_frames(wanted: Span | None, spec: Spec) -> int | None:
    """What `Processor` takes; None for the model's own."""
    return None if wanted is None else wanted.frames(spec)
