"""Texts that an ONNX file carries beside its graph, and the file without them."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import limits
from .admission import check_file_size
from .errors import BundleError
from .protobuf import Reader, Value, WireError, view, without

_TEXTS = 14  # ModelProto.metadata_props; numbers as in `admission`


def contents(model: Path | bytes) -> memoryview:
    """The file's bytes without a copy of them: freed, that would stay with the process.

    Raises `BundleError` for a file that cannot be read.
    """
    if isinstance(model, bytes):
        return memoryview(model)
    try:
        with model.open("rb") as file:
            size = model.stat().st_size
            check_file_size(size)
            # Closed by itself with the last view of it.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            return memoryview(mapped)
    except OSError as error:
        raise BundleError(f"the file cannot be read: {error.strerror or error}") from error


def read_metadata(model: Path | bytes) -> dict[str, str]:
    """An admitted ONNX file's texts by name. `BundleError` for a file that is another by now."""
    try:
        reader = Reader(limits.MAX_FIELDS)
        entries = [dict(reader.fields(entry)) for entry in _entries(contents(model), reader)]
        return {_text(entry, 1): _text(entry, 2) for entry in entries}
    except (WireError, UnicodeDecodeError) as error:
        raise BundleError(f"no ONNX model, or a damaged one ({error})") from error


def without_metadata(model: memoryview) -> bytes | None:
    """An admitted ONNX file less its texts, where these outweigh the rest; else None."""
    texts = sum(map(len, _entries(model, Reader(limits.MAX_FIELDS))))
    return without(model, _TEXTS) if 2 * texts > len(model) else None


def _text(entry: Mapping[int, Value], number: int) -> str:
    """Of a field that may be left out where it is empty."""
    return str(view(entry.get(number, memoryview(b""))), "utf-8")


def _entries(model: memoryview, reader: Reader) -> Iterator[memoryview]:
    return (view(value) for number, value in reader.fields(model) if number == _TEXTS)
