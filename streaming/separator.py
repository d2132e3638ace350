"""Words and audio in, separated audio out: what most programs need, in one class."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import QueryError
from ..runtime.queries import Loader, are_baked, conditioning_for
from .latency import Latency
from .offline import separate_array
from .processor import Mode, Outputs, Processor

Audio = NDArray[np.floating[Any]]
Samples = NDArray[np.float32]

RESIDUAL = "residual"
"""What is left when the sounds asked for are taken out, as a name beside theirs."""

# Whoever has more has most likely put channels first: (2, 48000) is no recording of 48000 channels.
_MOST_CHANNELS = 64


class Separator:
    """Keeps sounds by their names, or removes them.

        piano = Separator("piano")
        alone = piano(audio, 44100)                # a recording
        stems = piano.stems(audio, 44100)          # {"piano": ..., "residual": ...}
        for block in piano.blocks(source, 48000):  # a stream, in your own loop
            ...

    `queries` are words, each naming a sound; without any, those that the model was made for.
    `negatives` name sounds that might be taken for one of them and are not wanted; they count to
    the residual. `model` is the name of a shipped one, a path or an opened bundle. `mode` "keep" is
    to hear the queries, "remove" all but them. `linked` gives all channels the same masks, which
    keeps a stereo image; else each has its own. `device` and `threads` are those of `Session`,
    `load` is that of `conditioning_for`, `listens` and, for a windowed model, `advance` and
    `lookahead` those of `Processor`.

    Audio is floating point, full scale 1.0, (frames,) or (frames, channels), at any rate that is
    given with it in Hertz; what comes out is float32 of the same shape.

    Raises `BundleError` and `QueryError` for a model and words that cannot be used, `ValueError`
    for audio of another form. One thread at a time.
    """

    def __init__(
        self,
        *queries: str | Sequence[str],
        negatives: str | Sequence[str] = (),
        model: str | Path | Bundle = "solo",
        mode: Mode = "keep",
        linked: bool = True,
        device: str = "auto",
        threads: int = 1,
        load: Loader | None = None,
        advance: int | None = None,
        lookahead: int | None = None,
        listens: bool = True,
    ) -> None:
        self.bundle = model if isinstance(model, Bundle) else Bundle.open(model)
        self.mode, self.linked = mode, linked
        self._device, self._threads, self._load = device, threads, load
        self._advance, self._lookahead, self._listens = advance, lookahead, listens
        self._made: WeakSet[Processor] = WeakSet()
        self._offline: dict[Outputs, Processor] = {}
        self._latencies: dict[tuple[int, int | None], Latency] = {}
        words, unwanted = _words(*queries), _words(negatives)
        self.queries = words or tuple(query.name for query in self.bundle.spec.queries)
        self.negatives = unwanted
        baked = not unwanted and are_baked(self.bundle, self.queries)
        self._conditioning = None if baked else self._condition(self.queries, unwanted)

    def __call__(self, audio: Audio, rate: int) -> Samples:
        """Separate a recording: as long as it was, aligned with it to the sample."""
        samples = _frames(audio)
        separated = separate_array(self._for_recordings("mix"), samples, _hertz(rate))
        return separated.reshape(audio.shape)

    def stems(self, audio: Audio, rate: int) -> dict[str, Samples]:
        """Each sound of a recording by its query, and the "residual"; they sum to the recording."""
        samples = _frames(audio)
        separated = separate_array(self._for_recordings("stems"), samples, _hertz(rate))
        names = (*self.queries, RESIDUAL)
        return {n: s.reshape(audio.shape) for n, s in zip(names, separated, strict=True)}

    def blocks(
        self, blocks: Iterable[Audio], rate: int, *, block: int | None = None, tail: bool = False
    ) -> Iterator[Samples]:
        """Separate a stream: for each block taken one is given, of as many frames.

        What is given is late by `latency(rate, block)`, always. Blocks may be of any size and
        change it; where `block` promises that all have so many frames, the delay is shorter by up
        to a hop. With `tail` one block more follows the last, with the end of the sound.

        Each stream has a memory of its own. For an audio callback, where nothing may be allocated,
        take a `processor`.
        """
        return _play(self.processor(), blocks, rate, block, tail)

    def latency(self, rate: int, block: int | None = None) -> Latency:
        """How late `blocks` gives what it takes, in samples at `rate`, part by part."""
        key = (rate, block)
        if key not in self._latencies:
            processor = self.processor()
            processor.prepare(_hertz(rate), block or 1, 1, block=block)
            self._latencies[key] = processor.latency
            processor.release()
        return self._latencies[key]

    def ask(self, *queries: str | Sequence[str], negatives: str | Sequence[str] = ()) -> None:
        """Ask for other words, as many as before; streams that play glide over to them.

        Raises `ValueError` for another number of words. Not for the audio thread: see
        `conditioning_for`.
        """
        words, unwanted = _words(*queries), _words(negatives)
        if (len(words), len(unwanted)) != (len(self.queries), len(self.negatives)):
            raise ValueError(
                f"found {len(words)} queries and {len(unwanted)} negatives, this separator was "
                f"made for {len(self.queries)} and {len(self.negatives)}; make another one"
            )
        conditioning = self._condition(words, unwanted)
        self.queries, self.negatives, self._conditioning = words, unwanted, conditioning
        for processor in list(self._made):
            processor.set_conditioning(conditioning)

    def processor(self, outputs: Outputs = "mix") -> Processor:
        """A new `Processor` for these words, which follows `ask`: for `LiveStream`, plugin hosts
        and audio callbacks of your own.
        """
        processor = Processor(
            self.bundle,
            mode=self.mode,
            outputs=outputs,
            linked=self.linked,
            device=self._device,
            threads=self._threads,
            conditioning=self._conditioning,
            negatives=len(self.negatives),
            advance=self._advance,
            lookahead=self._lookahead,
            listens=self._listens,
        )
        self._made.add(processor)
        return processor

    def _condition(self, queries: Sequence[str], negatives: Sequence[str]) -> Samples:
        if RESIDUAL in queries:
            raise QueryError(
                f"{RESIDUAL!r} is what the rest is called; ask for a sound by another word"
            )
        return conditioning_for(self.bundle, queries, negatives, load=self._load)

    def _for_recordings(self, outputs: Outputs) -> Processor:
        """The one that is kept from recording to recording: loading a model takes 0.1 s."""
        if outputs not in self._offline:
            self._offline[outputs] = self.processor(outputs)
        return self._offline[outputs]


def _play(
    processor: Processor, blocks: Iterable[Audio], rate: int, block: int | None, tail: bool
) -> Iterator[Samples]:
    shape: tuple[int, ...] = ()
    hertz = _hertz(rate)
    try:
        for audio in blocks:
            given = _frames(audio)
            if not shape:
                processor.prepare(hertz, block or max(1, len(given)), given.shape[1], block=block)
            shape = audio.shape
            yield _process(processor, given).reshape(shape)
        if tail and shape:
            late = processor.latency_samples
            # Blocks of the size that was promised, or the queue would run short.
            size = block or late
            rest = _frames(np.zeros((size, *shape[1:]), np.float32))
            end = [_process(processor, rest) for _ in range(-(-late // size))]
            yield np.concatenate(end)[:late].reshape(late, *shape[1:])
    finally:
        processor.release()


def _process(processor: Processor, audio: Samples) -> Samples:
    out = np.empty(audio.shape, np.float32)
    processor.process(audio, out)
    return out


def _hertz(rate: float) -> int:
    """A rate of any type of number; `ValueError` for one that is no whole number from 1 on."""
    if not 1 <= rate < math.inf or rate != int(rate):
        raise ValueError(f"found a rate of {rate}, expected whole Hertz")
    return int(rate)


def _words(*given: str | Sequence[str]) -> tuple[str, ...]:
    """Queries as they come: one by one, as a list, or both."""
    return tuple(w for some in given for w in ([some] if isinstance(some, str) else some))


def _frames(audio: Audio) -> Samples:
    """Audio as (frames, channels) float32, the same memory where it is that already."""
    if audio.dtype.kind != "f":
        raise ValueError(f"found samples of type {audio.dtype}, expected floats, full scale 1.0")
    samples = audio[:, None] if audio.ndim == 1 else audio
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= _MOST_CHANNELS:
        raise ValueError(
            f"found audio of shape {audio.shape}, expected (frames,) or (frames, channels) with "
            f"at most {_MOST_CHANNELS} channels"
        )
    return samples.astype(np.float32, copy=False)
