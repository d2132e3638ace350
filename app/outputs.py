"""Where results go: found fit before the work begins, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import numpy as np

from ..runtime.errors import AudioFileError, SoloistError
from ..runtime.replacing import replacing
from ..streaming.files import write_audio


def check_writable(path: Path) -> None:
    """Raise `SoloistError` if no file can be written at `path`: better now than after the work."""
    try:
        if path.is_dir():
            raise SoloistError(f"cannot write {str(path)!r}: it is a folder; name a file")
        if not path.parent.is_dir():
            raise SoloistError(
                f"cannot write {str(path)!r}: no folder {str(path.parent)!r}; make it first"
            )
    except OSError as error:  # such as a name that is too long
        raise SoloistError(
            f"cannot write {str(path)!r}: {error.strerror}; choose another name"
        ) from error
    if path.exists() and not os.access(path, os.W_OK):
        raise SoloistError(
            f"cannot write {str(path)!r}: it is write-protected; choose another name"
        )
    if not os.access(path.parent, os.W_OK):
        raise SoloistError(
            f"cannot write {str(path)!r}: its folder is read-only or another user's; choose another"
        )


def check_audio_writable(path: Path, sample_rate: int, channels: int, subtype: str) -> None:
    """Raise `SoloistError` if no such recording can be written at `path`.

    A short one is written beside it and removed: containers refuse suffixes, rates and channel
    counts by rules of their own, and only writing tells.
    """
    check_writable(path)
    # The suffix is the user's, for it says the format. The rest is short, whatever theirs is.
    trial = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    silence = np.zeros((1024, channels), np.float32)
    try:
        write_audio(trial, silence, sample_rate, subtype=subtype)
    except AudioFileError as error:
        raise AudioFileError(str(error).replace(str(trial), str(path))) from error
    finally:
        trial.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder for results unless it is there. Raises `SoloistError` if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SoloistError(f"cannot make the folder {str(path)!r}: {error.strerror}") from error
    if not os.access(path, os.W_OK):
        raise SoloistError(
            f"cannot write into the folder {str(path)!r}: it is read-only or another user's; "
            "choose another"
        )


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises `SoloistError` if it cannot be written."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
