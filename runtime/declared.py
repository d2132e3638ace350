"""What an ONNX file declares of its tensors: weights with their numbers, and types of values.

Read before anybody allocates what is declared. Field numbers as in `admission`.
"""

from collections.abc import Callable, Mapping
from math import prod

from . import limits
from .errors import BundleError
from .protobuf import Reader, Value, integer, integers, view

Method = Callable[[Value], object]

# Of TensorProto.DataType: no texts, no complex numbers, nothing undefined.
_NUMBERS = {*range(1, 8), *range(9, 14), 16, 21, 22}
_NOTE = 6  # TypeProto.denotation: what the numbers mean, for people


class Declarations(Reader):
    """Checks tensors and types of values; raises `BundleError` for what may not be."""

    def __init__(self) -> None:
        super().__init__(limits.MAX_FIELDS)

    def each(self, message: memoryview, readers: Mapping[int, Method]) -> dict[int, int]:
        """Hand each field to its method, others to none; how many there were of each."""
        counts = dict.fromkeys(readers, 0)
        for number, value in self.fields(message):
            if number in readers:
                readers[number](value)
                counts[number] += 1
        return counts

    def tensor(self, value: Value) -> str:
        """Weights, with the numbers in them; their name."""
        tensor = view(value)
        dims: list[int] = []
        kind, name = 0, ""
        for number, part in self.fields(tensor):
            if number == 1:
                dims += few(part)
            elif number == 2:
                kind = integer(part)
            elif number == 8:
                name = text(part)
            elif number == 13 or (number == 14 and part != 0):
                check(False, "its weights lie in another file, which is not opened")
        _check_shape("weights", dims, kind)
        # Two numbers of four bits share a byte, others take one or more each.
        check(
            prod(dims) <= 2 * len(tensor),
            f"{prod(dims)} weights are declared, {len(tensor)} bytes of them are there",
        )
        return name

    def info(self, value: Value) -> str:
        """An input, an output or a value in between with its declared type; its name."""
        kinds, name = 0, ""
        for number, part in self.fields(view(value)):
            if number == 1:
                name = text(part)
            elif number == 2:
                for kind, described in self.fields(view(part)):
                    if kind == _NOTE:
                        continue
                    kinds += 1
                    check(kind == 1, "a value of the graph is no tensor")
                    self._tensor_type(described)
        check(kinds <= 1, "a value of the graph has several types")
        return name

    def _tensor_type(self, value: Value) -> None:
        dims: list[int] = []
        kind = 0
        for number, part in self.fields(view(value)):
            if number == 1:
                kind = integer(part)
            elif number == 2:
                self.each(view(part), {1: lambda dim: dims.append(self._size(dim))})
        _check_shape("a value", dims, kind)

    def _size(self, value: Value) -> int:
        """A declared size; 1 for a free one."""
        size = 1
        for number, part in self.fields(view(value)):
            if number == 1:
                size = integer(part)
            elif number == 2:
                text(part)
        return size


def _check_shape(what: str, dims: list[int], kind: int) -> None:
    check(kind in _NUMBERS, f"{what} of type {kind}, which are no numbers")
    check(
        len(dims) <= limits.MAX_RANK,
        f"{what} of {len(dims)} axes, at most {limits.MAX_RANK} are taken",
    )
    check(
        min(dims, default=0) >= 0 and prod(dims) <= limits.MAX_ELEMENTS,
        f"{what} of shape {dims}, at most {limits.MAX_ELEMENTS} numbers are taken",
    )


def few(value: Value) -> list[int]:
    """The numbers of a list that is as long as a tensor's axes are many, at most."""
    check(
        isinstance(value, int) or len(value) <= 10 * 2 * limits.MAX_RANK, "a shape of too many axes"
    )
    return integers(value)


def text(value: Value) -> str:
    """A name."""
    name = view(value)
    check(
        len(name) <= limits.MAX_TEXT_BYTES,
        f"a name of {len(name)} bytes, at most {limits.MAX_TEXT_BYTES}",
    )
    return str(name, "utf-8")


def check(holds: bool, what: str) -> None:
    """Raise `BundleError` with `what` is wrong unless `holds`."""
    if not holds:
        raise BundleError(f"{what}; export the bundle again, or ask who made it")
