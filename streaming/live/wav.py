"""WAV files that can be read while they are written, and after whatever ended that."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT (mmreg.h); such files carry a "fact" chunk as well (RFC 2361)
_HEAD = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI")


class WavWriter:
    """A new float32 WAV file of `channels` at `sample_rate` Hertz.

    The header is true after each `write`, where libsndfile would see to it when the file is closed,
    which a process that is killed or a full disk does not come to. `FileExistsError` rather than
    replace a file, and other `OSError` as the system refuses.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int) -> None:
        self._sample_rate, self._channels = sample_rate, channels
        self._file = path.open("xb", buffering=0)
        self._bytes = 0
        self._write_head()

    def write(self, audio: NDArray[np.float32]) -> None:
        """Append (frames, channels). `OSError`: the file ends with what the system took of it."""
        rest = np.ascontiguousarray(audio, "<f4").reshape(-1).view(np.uint8).data
        try:
            while rest:
                taken = self._file.write(rest)
                self._bytes += taken
                rest = rest[taken:]
        finally:
            self._write_head()

    def close(self) -> None:
        """Let go of the file, which is whole already."""
        self._file.close()

    def _write_head(self) -> None:
        frame = 4 * self._channels
        frames = self._bytes // frame  # a full disk may take part of one
        size = frames * frame
        self._file.seek(0)
        self._file.write(
            _HEAD.pack(
                *(b"RIFF", _HEAD.size - 8 + size, b"WAVE"),
                *(b"fmt ", 18, _FLOAT, self._channels, self._sample_rate),
                *(self._sample_rate * frame, frame, 32, 0),
                *(b"fact", 4, frames),
                *(b"data", size),
            )
        )
        self._file.seek(0, 2)
