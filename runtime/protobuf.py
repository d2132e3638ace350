"""Protocol Buffers read field by field, just enough to look a file over before a library loads it.

Wire format: https://protobuf.dev/programming-guides/encoding/. Nothing is copied: what a field
holds is a view of the data.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10  # bytes of 7 bits that hold 64
_LARGEST_FIELD = (1 << 29) - 1

Value = int | memoryview


class WireError(ValueError):
    """The data is not Protocol Buffers, is cut short, or is not what its reader expects."""


class Reader:
    """Reads messages, and at most `most_fields` fields in all, so that it ends in time."""

    def __init__(self, most_fields: int) -> None:
        self._left = most_fields

    def fields(self, message: memoryview) -> Iterator[tuple[int, Value]]:
        """Number and value of each field of `message`, in the order of the file, with repeats.

        A value is an int for a varint (0 to 2^64 - 1), else a view: of a text's, a message's or a
        packed list's bytes, or of the bytes of a number of fixed size. Raises `WireError`.
        """
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise WireError("it has too many fields")
            number, value, at = _field(message, at)
            yield number, value


def without(message: memoryview, unwanted: int) -> bytes:
    """The message less all fields of that number, the others as they are. Raises `WireError`."""
    kept, at = [], 0
    while at < len(message):
        start = at
        number, _, at = _field(message, start)
        if number != unwanted:
            kept.append(message[start:at])
    return b"".join(kept)


def view(value: Value) -> memoryview:
    """The bytes of a text, a record or a packed list; `WireError` for a number."""
    if isinstance(value, int):
        raise WireError("a number stands where a text or a record should")
    return value


def integer(value: Value) -> int:
    """The number, perhaps negative, of a field of type int64; `WireError` for anything else."""
    if not isinstance(value, int):
        raise WireError("something else stands where a number should")
    return value - (1 << 64) if value >> 63 else value


def integers(value: Value) -> list[int]:
    """The numbers of a field of type repeated int64: one of them, or several packed."""
    if isinstance(value, int):
        return [integer(value)]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(integer(number))
    return numbers


def _field(message: memoryview, at: int) -> tuple[int, Value, int]:
    """Number and value of the field that starts at byte `at`, and where it ends."""
    key, at = _varint(message, at)
    number, kind = key >> 3, key & 7
    if not 1 <= number <= _LARGEST_FIELD:
        raise WireError(f"no field can have number {number}")
    if kind == _VARINT:
        value, at = _varint(message, at)
        return number, value, at
    if kind == _BYTES:
        size, at = _varint(message, at)
    elif kind in _WIDTHS:
        size = _WIDTHS[kind]
    else:  # groups, which nobody writes any more
        raise WireError(f"field {number} is of unknown kind {kind}")
    left = len(message) - at
    if size > left:
        raise WireError(f"field {number} is {size} bytes long, {left} are left")
    return number, message[at : at + size], at + size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that starts at byte `at`, and where it ends."""
    number = 0
    for index, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80 and number < 1 << 64:
            return number, at + index + 1
    raise WireError("a number is cut short or too long")
