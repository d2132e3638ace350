"""Lists of mixtures as CSV, and the audio they describe.

A row names a target clip, one or more interfering clips, and how they meet:

- an excerpt is ``file[start : start + duration]``, placed ``offset`` seconds into the mixture;
- a frame of 20 ms is active when it lies within 40 dB of the loudest frame of its placed signal;
- the power of a signal is its mean square over its active frames;
- interferers are scaled to equal power, summed, and the sum is scaled so that the power of the
  target stands ``snr_db`` above it; the target keeps its level;
- one common gain at the end keeps the mixture within ±0.9.

A row without a target file is "absent": the query names a sound that is not in the mixture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from .clips import ACTIVE_FRAME, active_power
from .tables import Row, read_table

RATE = 48000  # Hertz, of every clip and every mixture of a list
PEAK = 0.9
ABSENT_RMS = 0.05  # of the interferers where there is no target to set the level
COLUMNS = (
    "id",
    "target_file",
    "target_start_s",
    "target_offset_s",
    "target_class",
    "interferer_files",
    "interferer_starts_s",
    "interferer_offsets_s",
    "snr_db",
    "duration_s",
    "query",
    "query_kind",
    "n_sources",
)

Samples = NDArray[np.float64]


class MixtureListError(ValueError):
    """A list of mixtures, or a clip that it names, cannot be used; the message is for people."""


@dataclass(frozen=True)
class Excerpt:
    """A clip, where it is entered and where in the mixture it begins, both in seconds."""

    file: str
    start_s: float
    offset_s: float


@dataclass(frozen=True)
class Mixture:
    """One row of a list; `target` is None when the query names a sound that is not there."""

    id: str
    query: str
    query_kind: str
    target_class: str
    n_sources: int
    duration_s: float
    target: Excerpt | None
    interferers: tuple[Excerpt, ...]
    snr_db: float  # 0 where there is no target


def read_mixtures(path: Path) -> list[Mixture]:
    """Read a list of mixtures. Raises `MixtureListError` for what is missing or makes no sense."""
    rows = read_table(path, COLUMNS, "list of mixtures", MixtureListError)
    mixtures = [_mixture(row, where) for where, row in rows]
    if not mixtures:
        raise MixtureListError(f"{path} holds no mixtures")
    return mixtures


def _mixture(cell: Row, where: str) -> Mixture:
    columns = [cell[f"interferer_{part}"].split("|") for part in ("files", "starts_s", "offsets_s")]
    if len({len(column) for column in columns}) > 1:
        raise MixtureListError(f"{where}: interferers' files, starts and offsets differ in number")
    seconds = _number(cell["duration_s"], f"{where}: duration_s")
    if round(seconds * RATE) < ACTIVE_FRAME:
        raise MixtureListError(f"{where}: duration_s should be 0.02 or more, found {seconds}")
    target = None
    if cell["target_file"]:
        start, offset = cell["target_start_s"], cell["target_offset_s"]
        target = _excerpt(cell["target_file"], start, offset, f"{where}: target")
    return Mixture(
        id=cell["id"],
        query=cell["query"],
        query_kind=cell["query_kind"],
        target_class=cell["target_class"],
        n_sources=int(_number(cell["n_sources"], f"{where}: n_sources")),
        duration_s=seconds,
        target=target,
        interferers=tuple(
            _excerpt(file, start, offset, f"{where}: interferer")
            for file, start, offset in zip(*columns, strict=True)
        ),
        snr_db=_number(cell["snr_db"], f"{where}: snr_db") if target else 0.0,
    )


def _excerpt(file: str, start: str, offset: str, where: str) -> Excerpt:
    times = _number(start, f"{where}_start_s"), _number(offset, f"{where}_offset_s")
    if min(times) < 0:
        name = "start_s" if times[0] < 0 else "offset_s"
        raise MixtureListError(f"{where}_{name} should not be negative, found {min(times):g}")
    return Excerpt(file, *times)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise MixtureListError(f"{where} should be a number, found {text!r}")
    return value


def render(mixture: Mixture, root: Path) -> tuple[Samples, Samples]:
    """The mixture and its target, each (samples,) at 48 kHz; clips are looked for under `root`.

    The target is silence in an "absent" mixture. Raises `MixtureListError` for a clip that cannot
    be read or has another rate or channel count.
    """
    length = round(mixture.duration_s * RATE)
    rest = np.zeros(length)
    for excerpt in mixture.interferers:
        placed = _place(excerpt, length, root)
        rest += placed / np.sqrt(active_power(placed) + 1e-20)
    if mixture.target is None:
        target = np.zeros(length)
        rest *= ABSENT_RMS / np.sqrt(active_power(rest) + 1e-20)
    else:
        target = _place(mixture.target, length, root)
        if not target.any():  # any output would score alike
            raise MixtureListError(f"{mixture.id}: the target is silent in the whole mixture")
        wanted = active_power(target) / 10 ** (mixture.snr_db / 10)
        rest *= np.sqrt(wanted / (active_power(rest) + 1e-20))
    mix = target + rest
    gain = min(1.0, PEAK / (float(np.abs(mix).max()) + 1e-12))
    return mix * gain, target * gain


def _place(excerpt: Excerpt, length: int, root: Path) -> Samples:
    path = root / excerpt.file
    try:
        audio, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise MixtureListError(f"cannot read the clip {path} ({error})") from error
    if rate != RATE or audio.shape[1] != 1:
        raise MixtureListError(
            f"{path} should be mono at {RATE} Hz, found {audio.shape[1]} channels at {rate} Hz"
        )
    offset = round(excerpt.offset_s * RATE)
    clip = audio[round(excerpt.start_s * RATE) :, 0][: max(0, length - offset)]
    placed = np.zeros(length)
    placed[offset : offset + len(clip)] = clip
    return placed
