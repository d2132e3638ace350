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
    """Read "16" as frames; "250ms", "250 ms" and "0.25s" as time."""
    frames = re.fullmatch(r"\s*(\d+)\s*", text)
    if frames:
        return Span(float(frames[1]), "frames")
    time = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(m?)s\s*", text)
    if time is None:
        raise typer.BadParameter(f"{text!r} is neither frames, such as 16, nor time, such as 250ms")
    return Span(float(time[1]) * (1 if time[2] else 1000), "ms")


Advance = Annotated[
    Span | None,
    typer.Option(
        "--advance",
        metavar="FRAMES|TIME",
        parser=span,
        help="Windowed models: how far windows are apart, such as 16, 250ms or 1s.",
    ),
]
Lookahead = Annotated[
    Span | None,
    typer.Option(
        "--lookahead",
        metavar="FRAMES|TIME",
        parser=span,
        help="Windowed models: how much they hear after what they separate.",
    ),
]


def in_frames(wanted: Span | None, spec: Spec) -> int | None:
    """What `Processor` takes; None for the model's own."""
    return None if wanted is None else wanted.frames(spec)
