"""`soloist separate`: a sound out of a recording, or a recording without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..streaming.files import Recording, Samples, read_audio, write_together
from ..streaming.live.recorder import RESIDUAL
from ..streaming.offline import separate_array
from ..streaming.processor import Processor
from .console import progress_bar, say
from .offline import mix_of, open_offline, stems_of
from .options import (
    PROMPTS,
    SHIPPED,
    Device,
    EncoderWeights,
    Gain,
    Keep,
    Linked,
    Model,
    Prompts,
    Queries,
    QueryEmbedding,
    Rest,
    Unwanted,
    gain_of_each,
    levels,
)
from .outputs import check_audio_writable
from .windows import Advance, Lookahead, in_frames
from .words import asked_of

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
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="By the inference that a system was published with; --model is its checkpoint.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, metavar="SHARE", help="With --offline: masks of 0 and 1, 1 above it."
        ),
    ] = None,
    query_embedding: QueryEmbedding = None,
    prompts: Prompts = PROMPTS[0],
    encoder_weights: EncoderWeights = None,
) -> None:
    """Separate a sound from a recording, by the code that plays live.

    OUT has IN's length, rate and channels. Several --query give one file each beside OUT, named
    after its words, and OUT-residual with the rest; --remove, --gain and --rest always give one,
    the mix of them all.

    With --offline a published separator hears all of IN before it gives any of OUT. That takes its
    checkpoint, torch, and queries as `soloist export` takes them.
    """
    several = keep and not gain and rest is None
    if offline:
        _refuse_live(block_size=block_size, advance=advance, lookahead=lookahead)
        if device not in ("auto", "cpu"):
            raise SoloistError(f"--offline runs on the CPU, not on {device!r}; leave --device out")
        whole = open_offline(
            model, query, query_embedding, prompts, encoder_weights, unwanted, threshold
        )
        each = gain_of_each(gain, len(whole.names))
        recording = read_audio(source)
        targets = _targets(target, whole.names, recording, several)
        with progress_bar(source.name) as bar:
            stems = stems_of(whole, recording, linked=linked, progress=bar)
        single = len(targets) == 1
        mix = [mix_of(stems, keep=keep, gain=each, rest=rest)] if single else list(stems)
        _write(targets, mix, recording)
        return
    if threshold is not None or query_embedding or encoder_weights or prompts != PROMPTS[0]:
        raise SoloistError(
            "--threshold, --query-embedding, --prompts and --encoder-weights are for --offline; a "
            "bundle has them from its export"
        )
    bundle = Bundle.open(model)
    recording = read_audio(source)
    asked = asked_of(bundle, query, unwanted)
    state = levels(len(asked.words), gain, rest)
    targets = _targets(target, asked.words, recording, several)
    single = len(targets) == 1
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
    processor.restore(state)
    with progress_bar(source.name) as bar:
        output = separate_array(
            processor,
            recording.samples,
            recording.sample_rate,
            block_size=block_size,
            progress=bar,
        )
    _write(targets, [output] if single else list(output), recording)
    _warn(processor)


def _targets(target: Path, words: Sequence[str], recording: Recording, several: bool) -> list[Path]:
    """Where the outputs go; all of them can be written."""
    targets = targets_beside(target, words) if several and len(words) > 1 else [target]
    for path in targets:
        rate, channels = recording.sample_rate, recording.samples.shape[1]
        check_audio_writable(path, rate, channels, recording.subtype)
    return targets


def _write(targets: Sequence[Path], outputs: Sequence[Samples], recording: Recording) -> None:
    files = dict(zip(targets, outputs, strict=True))
    clipped = write_together(files, recording.sample_rate, subtype=recording.subtype)
    for path in targets:
        say(f"written: {path}")
    if not recording.whole:
        say("soloist: the recording is cut short, its header promises more; all there is was used")
    for path, samples in clipped.items():
        if samples:
            say(
                f"soloist: {samples} samples of {path} were beyond full scale and are clipped; "
                "take a lower --gain, or .wav for a float recording"
            )


def _refuse_live(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise SoloistError(f"{option} is of live play, which --offline leaves out")


def targets_beside(target: Path, words: Sequence[str]) -> list[Path]:
    """A path for each of several queries and one for the residual: `out-dog.wav`, ..."""
    names = [*stem_names(words, RESIDUAL), RESIDUAL]
    return [target.with_stem(f"{target.stem}-{name}") for name in names]


def stem_names(words: Sequence[str], *reserved: str) -> list[str]:
    """Words as parts of files' names, all different, also from those reserved."""
    taken = list(reserved)
    for text in words:
        # Different words may leave the same letters.
        taken.append(next(name for name in _names(text) if name not in taken))
    return taken[len(reserved) :]


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
