"""What torch's own care leaves open: sizes that a stranger's checkpoint may only claim to have.

``torch.load(weights_only=True)`` runs no code of a file's. It does unpack records that are a
thousand times smaller in the file, makes tensors whose shape no memory stands behind, and lists
that hold themselves a thousand times over; a network built to such sizes ends the machine.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

MOST_BYTES = 1 << 33
"""Of a file: 2 billion float32 weights."""
MOST_PICKLED = 1 << 26
"""Bytes of the pickle that says what the tensors are."""
MOST_VALUES = 1_000_000
"""Numbers, texts, tensors and the lists that hold them; a list counts wherever it appears."""
DEEPEST = 32


def check_file(path: Path) -> None:
    """Looks at a file before torch does.

    Raises:
        ValueError: it is larger than any checkpoint, or an archive whose records unpack to more
            than they are in the file, which ``torch.save`` never writes.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size} bytes, at most {MOST_BYTES} are read")
    if not zipfile.is_zipfile(path):  # torch's older format, whose records are as long as they say
        return
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            if record.compress_type != zipfile.ZIP_STORED or record.file_size > size:
                raise ValueError(f"its record {record.filename!r:.60} is packed")
            if record.filename.endswith(".pkl") and record.file_size > MOST_PICKLED:
                raise ValueError(f"its pickle has {record.file_size} bytes")


def check_content(saved: object) -> None:
    """Looks at what torch made of a file.

    Raises:
        ValueError: tensors that are not plain numbers in memory as large as their shape, or more
            values, or lists deeper inside each other, than any training writes.
    """
    _count(saved, MOST_VALUES, DEEPEST)


def _count(value: object, left: int, depth: int) -> int:
    """How many of ``left`` values remain after ``value`` and all that is in it."""
    if left <= 0 or depth <= 0:
        raise ValueError("it holds too many values, or lists too deep inside each other")
    if isinstance(value, Tensor):
        _check_tensor(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            left = _count(item, _count(key, left, depth - 1), depth - 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            left = _count(item, left, depth - 1)
    return left - 1


def _check_tensor(tensor: Tensor) -> None:
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized:
        raise ValueError(f"it holds a tensor that is {tensor.layout} on {tensor.device}")
    claimed, there = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if claimed > there:
        raise ValueError(f"it holds a tensor of {tuple(tensor.shape)} made of {there} bytes")
