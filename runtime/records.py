"""JSON into frozen dataclasses, strictly: the shape of a record is its class and nothing else.

Each key must be there, none may be left over, each value must have the declared type. What a value
may be is the business of the class's `__post_init__`.
"""

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import BundleError

MAX_VALUES = 1_000_000
"""Of one JSON text; each takes some tens of bytes once it is read."""
MAX_DEPTH = 32
"""Lists and objects inside each other."""

Record = TypeVar("Record")

_SCALARS = {str: "text", int: "a whole number", bool: "true or false", float: "a number"}


def parse_object(text: str, where: str) -> dict[str, Any]:
    """Parse JSON `text` that must be an object; `where` names it in the `BundleError` otherwise."""
    try:
        if sum(map(text.count, "[{,")) > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values")
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_short
        )
        _check_tree(value, MAX_DEPTH)
    except (ValueError, RecursionError) as error:  # the second for lists in lists in lists
        raise BundleError(f"{where} is not JSON ({error}); export the bundle again") from error
    if not isinstance(value, dict):
        raise _wrong_type(value, "an object", where)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.20} is beyond all numbers")
    return number


def _short(digits: str) -> int:
    if len(digits) > 100:  # with 309 no float holds it any more, with 4300 Python prints it not
        raise ValueError(f"{digits:.20} is beyond all numbers")
    return int(digits)


def _check_tree(value: object, depth: int) -> None:
    """Raise `ValueError` for what can be said in JSON and neither printed nor written anew."""
    if isinstance(value, str):
        value.encode()  # halves of a letter, each escaped by itself, are no text
    elif isinstance(value, list | dict):
        if depth == 0:
            raise ValueError(f"more than {MAX_DEPTH} lists inside each other")
        for item in value:
            _check_tree(item, depth - 1)
        for item in value.values() if isinstance(value, dict) else ():
            _check_tree(item, depth - 1)


def decode(cls: type[Record], value: object, where: str) -> Record:
    """Turn a parsed JSON object into the dataclass `cls`; `where` names it in error messages.

    Raises `BundleError` naming the key at fault, what was found and what was expected.
    """
    if not isinstance(value, dict):
        raise _wrong_type(value, "an object", where)
    assert is_dataclass(cls)
    # A key this version does not know may change what the others mean, so it is not skipped.
    unknown = value.keys() - {field.name for field in fields(cls)}
    if unknown:
        raise BundleError(
            f"{where}: unknown key {min(unknown)!r}; a newer Soloist may have written it"
        )
    hints = get_type_hints(cls)
    arguments = {}
    for field in fields(cls):
        if field.name in value:
            arguments[field.name] = _value(
                hints[field.name], value[field.name], f"{where}: {field.name}"
            )
        elif field.default is MISSING:
            raise BundleError(f"{where}: key {field.name!r} is missing; export the bundle again")
    return cls(**arguments)


def _value(expected: Any, value: object, where: str) -> Any:
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):  # here always `X | None`
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple:  # here always `tuple[X, ...]`
        if not isinstance(value, list):
            raise _wrong_type(value, "a list", where)
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _wrong_type(value, "an object", where)
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is Literal:  # of texts; which ones is checked with the other values
        return _scalar(str, value, where)
    if expected in _SCALARS:
        return _scalar(expected, value, where)
    if expected is Any:
        return value
    return decode(expected, value, where)


def _scalar(expected: type, value: object, where: str) -> object:
    # By exact type: in Python, but not in JSON, true is a whole number.
    if expected is float and type(value) is int:
        return float(value)
    if type(value) is not expected:
        raise _wrong_type(value, _SCALARS[expected], where)
    return value


def _wrong_type(value: object, expected: str, where: str) -> BundleError:
    return BundleError(f"{where}: found {value!r:.60}, expected {expected}")
