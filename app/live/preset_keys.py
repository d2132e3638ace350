"""The keys that a preset may have, and what each of them takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import typer

from ...streaming.live.plan import Schedule
from ..options import GAIN
from ..windows import span


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError
    return value


def _words(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ValueError
    return [_text(word) for word in value]


def _name(value: Any) -> str:
    if _text(value).strip().isdecimal():  # an index, which means another device tomorrow
        raise ValueError
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError
    return value


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int):
            raise ValueError
        return int(_number(value, low, high))

    return read


def _decibels(value: Any) -> str:
    GAIN.value(str(_number(value, -math.inf, math.inf)))
    return str(value)


def _each_decibels(value: Any) -> list[str]:
    if not isinstance(value, list):
        return [_decibels(value)]
    if not value:
        raise ValueError
    return [_decibels(each) for each in value]


def _latency(value: Any) -> str:
    return value if value in ("low", "high") else str(_number(value, 0.0, 9.999))


def _schedule(value: Any) -> str:
    if value not in get_args(Schedule):
        raise ValueError
    return str(value)


def _span(value: Any) -> str:
    text = value if isinstance(value, str) else str(_whole(0, 10**6)(value))
    if len(text) > 16:
        raise ValueError
    try:
        span(text)
    except typer.BadParameter as error:
        raise ValueError from error
    return text


class Key(NamedTuple):
    """A key of the file: the parameter of `live` that it sets, and what it takes.

    `read` makes of a value what the command line would have said, or raises `ValueError`.
    """

    parameter: str
    read: Callable[[Any], Any]
    expected: str


_RANGE = f"dB, {GAIN.minimum:g} to {GAIN.maximum:g} or -inf"
_DEVICE = "the name that `soloist devices` shows"
_SPAN = 'frames, such as 16, or time, such as "250ms"'
_SWITCH = "true or false"

KEYS = {
    "model": Key("model", _text, "the name of a shipped model or a path"),
    "queries": Key("query", _words, 'words, such as ["a dog barking"]'),
    "negatives": Key("unwanted", _words, 'words, such as ["rain"]'),
    "mode": Key(
        "keep", lambda value: ("remove", "keep").index(_text(value)) == 1, '"keep" or "remove"'
    ),
    "gain": Key("gain", _each_decibels, f"{_RANGE}, or a list of such, one for each query"),
    "rest": Key("rest", _decibels, _RANGE),
    "linked": Key("linked", _flag, _SWITCH),
    "limiter": Key("limiter", _flag, _SWITCH),
    "input_device": Key("input_device", _name, _DEVICE),
    "output_device": Key("output_device", _name, _DEVICE),
    "jack": Key("jack", _flag, _SWITCH),
    "client_name": Key("client_name", _text, "a name for JACK"),
    "virtual_mic": Key("virtual_mic", _flag, _SWITCH),
    "virtual_sink": Key("virtual_sink", _flag, _SWITCH),
    "loopback": Key("loopback", _flag, _SWITCH),
    "block_size": Key("block_size", _whole(0, 8192), "frames, 0 to 8192; 0 is the driver's own"),
    "sample_rate": Key("sample_rate", _whole(1, 10**6), "whole Hertz"),
    "channels": Key("channels", _whole(1, 128), "1 to 128"),
    "latency": Key("latency", _latency, '"low", "high" or seconds below 10'),
    "schedule": Key("schedule", _schedule, '"inline", "worker" or "trailing"'),
    "exclusive": Key("exclusive", _flag, _SWITCH),
    "keep_awake": Key("keep_awake", _flag, _SWITCH),
    "wait": Key("wait", _flag, _SWITCH),
    "reconnect": Key("reconnect", lambda value: _number(value, 0.0, math.inf), "seconds"),
    "advance": Key("advance", _span, _SPAN),
    "lookahead": Key("lookahead", _span, _SPAN),
    "tight": Key("tight", _flag, _SWITCH),
    "device": Key("device", _text, '"auto", "cpu" or "cuda"'),
    "threads": Key("threads", _whole(1, 64), "1 to 64"),
}
