"""Audio files in and out: any format libsndfile knows, whole or not at all.

A file is written under another name (`runtime.replacing`) and checked before it takes the place of
its destination, which at no moment holds half a file.
"""

import math
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..runtime.errors import AudioFileError
from ..runtime.replacing import replacing

Samples = NDArray[np.float32]

# Suffixes that are not the name of the format itself; a subtype where the suffix means one.
_ALIASES = {
    "aif": ("AIFF", None),
    "aifc": ("AIFF", None),
    "oga": ("OGG", None),
    "opus": ("OGG", "OPUS"),
    "snd": ("AU", None),
}
# RAW says nothing about itself, SD2 keeps half of it in a second file that a rename would lose, and
# libsndfile 1.2.2 loses the last samples of SDS.
_REFUSED = {"RAW", "SD2", "SDS"}
_COMMON = ".wav, .flac, .aiff, .ogg, .opus or .mp3"
# Worth keeping from the file that was read. Of the others some pad to whole code blocks, which
# changes the length, and the rest are the only ones of their format anyway.
_KEPT = ("PCM_", "FLOAT", "DOUBLE", "ALAC_", "ULAW", "ALAW", "VORBIS", "OPUS")
# libsndfile takes the whole block on the stack for Vorbis and dies of long ones.
_BLOCK = 1 << 16

# What libsndfile notes where the samples of WAV, AIFF and AU are longer than the file. Those who
# write to a pipe cannot know the length, and put the largest number there is.
_SHORT = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_UNKNOWN_LENGTH = 0x7FFF_0000
_PADDING = 64  # bytes
# These hold what is beyond full scale; all others clip it.
_UNBOUNDED = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_")
_FULL_SCALE = 1.0 + 2.0**-15

MAX_SAMPLES = 1 << 30
"""Frames times channels, at 48 kHz or more: 4 GiB, three hours in stereo. A header that says more
lies, or the recording is better cut."""
MAX_CHANNELS = 64
RATES = range(1_000, 768_001)
"""Sample rates in Hertz, twice what any converter does."""


class Recording(NamedTuple):
    """What a file holds: `samples` float32 (frames, channels), full scale 1.0; rate in Hertz.

    `format` and `subtype` are libsndfile's names, such as "FLAC" and "PCM_24". `whole` is false
    where a WAV, AIFF or AU file ends before what its header promises.
    """

    samples: Samples
    sample_rate: int
    format: str
    subtype: str
    whole: bool = True


def read_audio(path: str | os.PathLike[str]) -> Recording:
    """Read a whole file.

    `AudioFileError` if it is missing, no audio, empty or holds no numbers, or is beyond
    `MAX_SAMPLES`, `MAX_CHANNELS` or `RATES`. What a file says of its length reserves memory, but
    only samples that are there take it.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise AudioFileError(f"cannot read {str(path)!r}: no such file; check the path")
        if not path.is_file():
            raise AudioFileError(f"cannot read {str(path)!r}: not a file; name an audio file")
        if path.suffix.lower() == ".raw":  # soundfile would ask the caller what it is
            raise AudioFileError(f"cannot read {str(path)!r}: raw samples; use {_COMMON}")
        path.open("rb").close()  # says why not, where libsndfile says "system error"
        if path.stat().st_size == 0:
            raise AudioFileError(f"cannot read {str(path)!r}: it is empty; take another copy")
        with soundfile.SoundFile(path) as file:
            samples, whole = _samples(path, file), _is_whole(file)
            recording = Recording(samples, file.samplerate, file.format, file.subtype, whole)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFileError(
            f"cannot read {str(path)!r}: {_reason(error)}; use an audio file such as {_COMMON}"
        ) from error
    if len(samples) == 0:
        raise AudioFileError(f"cannot use {str(path)!r}: it holds no samples")
    bad = np.flatnonzero(~np.isfinite(samples).all(axis=1))
    if len(bad):
        raise AudioFileError(
            f"cannot use {str(path)!r}: {len(bad)} of {len(samples)} frames are NaN or infinite, "
            f"the first one is frame {bad[0]}; export the file again"
        )
    return recording


def _is_whole(file: soundfile.SoundFile) -> bool:
    """Whether a WAV, AIFF or AU file has all the samples that its header promises.

    libsndfile reads as far as the file goes; FLAC and CAF it refuses by itself, of the others it
    says nothing.
    """
    return not any(
        int(found) + _PADDING < int(promised) < _UNKNOWN_LENGTH
        for promised, found in _SHORT.findall(file.extra_info)
    )


def _samples(path: Path, file: soundfile.SoundFile) -> Samples:
    """All samples of an open file, if it is no larger than it may be."""
    frames, channels, rate = file.frames, file.channels, file.samplerate
    widest = max(1.0, 48_000 / max(1, rate))  # a low rate takes as much, once it is resampled
    if channels > MAX_CHANNELS or rate not in RATES or frames * channels * widest > MAX_SAMPLES:
        raise AudioFileError(
            f"cannot use {str(path)!r}: it says that it has {frames} frames of {channels} channels "
            f"at {rate} Hz; at most {MAX_CHANNELS} channels, {RATES[0]} to {RATES[-1]} Hz and "
            f"{MAX_SAMPLES} samples are read"
        )
    try:
        samples = np.empty((frames, channels), np.float32)
    except MemoryError as error:
        raise AudioFileError(
            f"cannot use {str(path)!r}: no memory for its {frames} frames; cut it into parts"
        ) from error
    found = 0
    try:
        while found < frames:
            read = len(file.read(_BLOCK, "float32", True, out=samples[found : found + _BLOCK]))
            if read == 0:
                break
            found += read
    except soundfile.SoundFileError as error:
        raise AudioFileError(
            f"cannot read {str(path)!r}: damaged or cut short after {found} of {frames} frames; "
            "take another copy"
        ) from error
    # A copy, unless nearly all is there: a view would keep what was reserved.
    return samples[:found] if 2 * found > frames else samples[:found].copy()


def write_audio(
    path: str | os.PathLike[str],
    samples: Samples,
    sample_rate: int,
    *,
    subtype: str | None = None,
) -> int:
    """Write `samples` float32 (frames, channels) to `path` atomically, its format by its suffix.

    `subtype` is a wish, such as that of the file read: kept where the format has it and the length
    stays the same, else the format's usual one. Integer subtypes clip at full scale: how many
    samples they did is returned. Folders are not made. `AudioFileError` if it cannot be written;
    then nothing is there that was not before.
    """
    return write_together({Path(path): samples}, sample_rate, subtype=subtype)[Path(path)]


def write_together(
    recordings: Mapping[Path, Samples], sample_rate: int, *, subtype: str | None = None
) -> dict[Path, int]:
    """`write_audio` for several recordings by path: all are written before the first is in place.

    So a full disk or a container that refuses one of them leaves none.
    """
    clipped = {}
    with ExitStack() as stack:
        for path, samples in recordings.items():
            format_, usual = _format_of(path)
            part = stack.enter_context(replacing(path, AudioFileError))
            chosen = _subtype_for(format_, usual, subtype)
            clipped[path] = _write(path, part, samples, sample_rate, format_, chosen)
    return clipped


def _write(
    path: Path, part: Path, samples: Samples, sample_rate: int, format_: str, subtype: str
) -> int:
    """Write to `part` what is to become `path`; how many samples were clipped.

    `AudioFileError` where libsndfile refuses.
    """
    frames, channels = samples.shape
    bound = math.inf if subtype.startswith(_UNBOUNDED) else _FULL_SCALE
    clipped = 0
    try:
        with soundfile.SoundFile(
            part, "w", sample_rate, channels, subtype=subtype, format=format_
        ) as file:
            for start in range(0, frames, _BLOCK):
                piece = samples[start : start + _BLOCK]
                file.write(piece)
                clipped += int(np.count_nonzero(np.abs(piece) > bound))
        # Some formats know few rates and take any in silence.
        found = soundfile.info(part)
        if (found.frames, found.channels, found.samplerate) != (frames, channels, sample_rate):
            raise soundfile.SoundFileRuntimeError(
                f"it would hold {found.frames} frames of {found.channels} channels "
                f"at {found.samplerate} Hz instead of {frames}"
            )
    # soundfile asserts that all was written; a full disk shows as that, too.
    except (soundfile.SoundFileError, AssertionError) as error:
        reason = "not all was written" if isinstance(error, AssertionError) else _reason(error)
        # libsndfile's word for what the system refused; it keeps no more of it.
        system = isinstance(error, AssertionError) or reason == "System error"
        remedy = "check the disk's free space" if system else "try another format, such as .wav"
        raise AudioFileError(
            f"cannot write {str(path)!r} ({format_} {subtype}, {channels} channels, "
            f"{sample_rate} Hz): {reason}; {remedy}"
        ) from error
    return clipped


def _format_of(path: Path) -> tuple[str, str | None]:
    """Format and, where the suffix says so, subtype that a path asks for."""
    suffix = path.suffix.lower().removeprefix(".")
    known = _formats()
    if suffix not in known:
        raise AudioFileError(
            f"cannot write {str(path)!r}: the suffix {path.suffix!r} names no known format; "
            f"use {_COMMON}"
        )
    return known[suffix]


def _formats() -> dict[str, tuple[str, str | None]]:
    names = soundfile.available_formats().keys() - _REFUSED
    return {name.lower(): (name, None) for name in names} | _ALIASES


def _subtype_for(format_: str, usual: str | None, wanted: str | None) -> str:
    default = usual or str(soundfile.default_subtype(format_))
    if usual or wanted is None or not wanted.startswith(_KEPT):
        return default
    return wanted if soundfile.check_format(format_, wanted) else default


def _reason(error: Exception) -> str:
    """The cause in libsndfile's or the system's words, in one line and without the path."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".") or type(error).__name__
