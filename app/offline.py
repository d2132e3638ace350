"""`soloist separate --offline`: a recording by the inference that a system was published with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import SoloistError
from ..streaming.files import Recording
from ..streaming.offline import resample
from ..streaming.parameters import SILENT_DB, linear
from .checkpoints import asked_of_checkpoint, check_checkpoint, extra

if TYPE_CHECKING:
    from ..export.whole import WholeFile

Samples = NDArray[np.float32]


def open_offline(
    model: str,
    queries: Sequence[str] | None,
    embeddings: Sequence[str] | None,
    prompts: str,
    weights: str | None,
    negatives: Sequence[str] | None,
    threshold: float | None,
) -> WholeFile:
    """The system in the checkpoint `model`, asked for these queries, ready for recordings.

    Raises `SoloistError` for what is no checkpoint of a published system, and queries that it
    cannot take.
    """
    if model.endswith(".onnx"):
        raise SoloistError(
            f"--offline takes a checkpoint, {model!r} is a bundle; leave --offline out"
        )
    checkpoint = Path(model)
    check_checkpoint(checkpoint)
    with extra("export", "separate --offline"):
        from ..export.systems import open_whole
    asked = asked_of_checkpoint(queries, embeddings, prompts, weights, negatives)
    return open_whole(checkpoint, asked, threshold)


def stems_of(
    whole: WholeFile, recording: Recording, *, linked: bool, progress: Callable[[float], None]
) -> Samples:
    """Stems (queries, samples, channels) and, last, what is left, at the recording's rate.

    At another rate than the system's only the stems pass a resampler on their way back.
    """
    audio, rate, frames = recording.samples, recording.sample_rate, len(recording.samples)
    given = math.ceil(frames * whole.sample_rate / rate)
    if rate != whole.sample_rate:
        audio = resample(audio, rate, whole.sample_rate, given)
    stems = whole.separate(audio, linked=linked, progress=progress)
    if rate != whole.sample_rate:
        stems = np.stack([resample(stem, whole.sample_rate, rate, frames) for stem in stems])
    return np.concatenate([stems, (recording.samples - stems.sum(axis=0))[None]])


def mix_of(stems: Samples, *, keep: bool, gain: Sequence[float], rest: float | None) -> Samples:
    """All of `stems_of` in one: the queries kept or removed, or each at its `gain` in dB, if any,
    and the rest at `rest`."""
    stem_levels = gain or [0.0 if keep else SILENT_DB] * (len(stems) - 1)
    rest_level = rest if rest is not None else SILENT_DB if keep else 0.0
    levels = [linear(level) for level in (*stem_levels, rest_level)]
    mix: Samples = np.tensordot(np.array(levels, np.float32), stems, axes=1)
    return mix
