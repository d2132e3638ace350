"""`soloist separate`: a sound out of a recording, or a recording without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.bundle import Bundle
from ..streaming.files import read_audio, write_together
from ..streaming.offline import separate_array
from ..streaming.processor import Processor
from .console import progress_bar, say
from .options import (
    SHIPPED,
    Device,
    Gain,
    Keep,
    Linked,
    Model,
    Queries,
    Rest,
    Unwanted,
    levels,
)
from .outputs import check_audio_writable
from .windows import Advance, Lookahead, in_frames
from .words import asked_of

RESIDUAL = "residual"
# Letters of the words that a file's name takes: up to 240 of the 255 bytes that systems allow.
_SLUG_LETTERS = 60


def separate(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Any audio file.")],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Its suffix says the format, such as .wav or .flac."),
    ],
    query: Queries = None,
    unwanted: Unwanted = None,
    keep: Keep = True,
    gain: Gain = None,
    rest: Rest = None,
    linked: Linked = True,
    model: Model = SHIPPED,
    block_size: Annotated[
        int | None,
        typer.Option(
            "--block-size", "--blocksize", "-b", min=1, help="Samples; changes nothing but speed."
        ),
    ] = None,
    advance: Advance = None,
    lookahead: Lookahead = None,
    device: Device = "auto",
) -> None:
    """Separate a sound from a recording, by the code that plays live.

    OUT has IN's length, rate and channels. Several --query give one file each beside OUT, named
    after its words, and OUT-residual with the rest; --remove, --gain and --rest always give one,
    the mix of them all.
    """
    bundle = Bundle.open(model)
    recording = read_audio(source)
    asked = asked_of(bundle, query, unwanted)
    single = len(asked.words) == 1 or not keep or gain is not None or rest is not None
    targets = [target] if single else targets_beside(target, asked.words)
    for path in targets:
        rate, channels = recording.sample_rate, recording.samples.shape[1]
        check_audio_writable(path, rate, channels, recording.subtype)

    processor = Processor(
        bundle,
        mode="keep" if keep else "remove",
        outputs="mix" if single else "stems",
        linked=linked,
        device=device,
        conditioning=asked.conditioning,
        negatives=asked.negatives,
        advance=in_frames(advance, bundle.spec),
        lookahead=in_frames(lookahead, bundle.spec),
    )
    processor.restore(levels(processor.queries, gain, rest))
    with progress_bar(source.name) as bar:
        output = separate_array(
            processor,
            recording.samples,
            recording.sample_rate,
            block_size=block_size,
            progress=bar,
        )
    outputs = [output] if single else list(output)
    write_together(
        dict(zip(targets, outputs, strict=True)),
        recording.sample_rate,
        subtype=recording.subtype,
    )
    for path in targets:
        say(f"written: {path}")
    _warn(processor)


def targets_beside(target: Path, words: Sequence[str]) -> list[Path]:
    """A path for each of several queries and one for the residual: `out-dog.wav`, ..."""
    taken = [RESIDUAL]
    for text in words:
        # Different words may leave the same letters.
        taken.append(next(name for name in _names(text) if name not in taken))
    return [target.with_stem(f"{target.stem}-{name}") for name in [*taken[1:], RESIDUAL]]


def _names(words: str) -> Iterator[str]:
    """What words may be called in a file's name: `a-dog`, `a-dog-2`, ..."""
    slug = re.sub(r"[^\w]+", "-", words.casefold()).strip("-_")[:_SLUG_LETTERS].rstrip("-_")
    slug = slug or "query"
    yield slug
    yield from (f"{slug}-{number}" for number in count(2))


def _warn(processor: Processor) -> None:
    faults = processor.counters.faults
    if faults:
        say(f"soloist: the network failed in {faults} hops; there its last masks were held")
