"""Recording while playing: input, each stem and the residual, in files that line up.

    audio thread: Processor ── tap ── Tape            this thread: Tape ── files

The input is recorded as the processor's dry path delays it, which is exactly as late as the stems.
So all files begin with the same moment, and stems and residual sum to the input, sample by sample.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from ...runtime.errors import AudioFileError
from ..processor import Processor
from .tape import Tape
from .wav import WavWriter

Format = Literal["wav", "flac"]
Samples = NDArray[np.float32]

INPUT, RESIDUAL = "input", "residual"
# What a disk may need to wake up or to empty its caches.
_TAPE_S = 4.0
_TICK_S = 0.1
# How long the end of a recording may take, which the end of live play waits for.
_END_LIMIT_S = 1.0
# WAV counts bytes in 32 bits, and many programs read them as signed ones.
_MOST_BYTES = 2**31 - 2**16


@dataclass(frozen=True)
class RecordingPlan:
    """Where to: a new folder, named after the time, inside `folder`; a name for each stem."""

    folder: str
    names: tuple[str, ...]
    format: Format = "wav"


@dataclass(frozen=True)
class Recorded:
    """What has been recorded so far: `frames` into files in `folder`, `lost` where files were
    slower than sound and have silence instead. `error` is what ended it early."""

    folder: str
    frames: int
    lost: int
    error: str = ""


class _File(Protocol):
    def write(self, audio: Samples) -> None: ...
    def close(self) -> None: ...


class Recorder:
    """Makes the files at once and records from `start` to `close`. Control thread.

    `stems` as many as the processor has queries. Raises `AudioFileError` where files cannot be
    made. What goes wrong later ends the recording and nothing else: see `Recorded.error`.
    """

    def __init__(
        self,
        plan: RecordingPlan,
        processor: Processor,
        sample_rate: int,
        channels: int,
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._plan, self._processor = plan, processor
        self._rate, self._channels = sample_rate, channels
        self._tracks = [INPUT, *plan.names, RESIDUAL]
        self._tape = Tape(len(plan.names), round(_TAPE_S * sample_rate), channels)
        self._rest = np.empty((self._tape.capacity, channels), np.float32)
        self._part_frames = most_bytes // (4 * channels)
        self._frames, self._parts, self._error = 0, 0, ""
        self._files: list[_File] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        try:
            self._folder = _new_folder(Path(plan.folder))
            self._open()
        except (OSError, soundfile.SoundFileError) as error:
            self._shut()
            raise AudioFileError(
                f"cannot record into {plan.folder!r}: {_reason(error)}; choose another place"
            ) from error

    @property
    def state(self) -> Recorded:
        """How far it has come. Any thread."""
        return Recorded(str(self._folder), self._frames, self._tape.lost, self._error)

    def start(self) -> None:
        """Record what the processor plays from now on. Once."""
        self._thread.start()
        self._processor.add_tap(self._tape.put)

    def close(self) -> None:
        """Write what is left and close the files, within a second; before `start`, undo them."""
        self._processor.remove_tap(self._tape.put)
        self._ending.set()
        if self._thread.ident is None:
            self._shut()
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        self._thread.join(_END_LIMIT_S)
        if self._thread.is_alive() and not self._error:
            self._error = "the disk took too long to take the end of it"

    def _run(self) -> None:
        try:
            while not self._ending.wait(_TICK_S):
                self._drain()
            self._drain()
        except Exception as error:  # a full disk above all; whatever it is, audio goes on
            self._error = _reason(error)
            self._processor.remove_tap(self._tape.put)
        self._shut()

    def _drain(self) -> None:
        while (piece := self._tape.peek()).shape[1]:
            for missing in _portions(self._tape.take_gap(), self._tape.capacity):
                self._write(np.zeros((piece.shape[0], missing, self._channels), np.float32))
            self._write(piece)
            self._tape.drop(piece.shape[1])

    def _write(self, piece: Samples) -> None:
        """Append (1 + stems, frames, channels) to the files, in new ones where these are full."""
        while (frames := piece.shape[1]) > 0:
            room = self._parts * self._part_frames - self._frames
            if room == 0:
                self._shut()
                self._open()
                continue
            part, piece = piece[:, : min(frames, room)], piece[:, min(frames, room) :]
            rest = self._rest[: part.shape[1]]
            np.copyto(rest, part[0])
            for stem in part[1:]:
                np.subtract(rest, stem, out=rest)
            for file, audio in zip(self._files, [*part, rest], strict=True):
                file.write(audio)
            self._frames += part.shape[1]

    def _open(self) -> None:
        self._parts += 1
        number = f".{self._parts}" if self._parts > 1 else ""
        for track in self._tracks:
            path = self._folder / f"{track}{number}.{self._plan.format}"
            self._files.append(_new_file(path, self._rate, self._channels))

    def _shut(self) -> None:
        for file in self._files:
            with contextlib.suppress(Exception):  # a disk that is full refuses the end as well
                file.close()
        self._files.clear()


def _new_folder(parent: Path) -> Path:
    """A folder that was not there, named after the time."""
    parent.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y-%m-%d-%H%M%S")
    for number in count(1):
        folder = parent / (stamp if number == 1 else f"{stamp}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    return folder


def _new_file(path: Path, sample_rate: int, channels: int) -> _File:
    if path.suffix == ".wav":
        return WavWriter(path, sample_rate, channels)
    file: _File = soundfile.SoundFile(path, "x", sample_rate, channels, "PCM_24")
    return file


def _portions(frames: int, most: int) -> list[int]:
    """So many frames in pieces of at most `most`."""
    return [min(most, frames - start) for start in range(0, frames, most)]


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".") or type(error).__name__
