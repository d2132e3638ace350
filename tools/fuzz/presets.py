"""Presets of live play, damaged as files and line by line."""

from __future__ import annotations

import random
from pathlib import Path

from ...app.live.preset_keys import KEYS
from ...app.live.presets import read
from .mutations import INTERESTING, damage

SUFFIX = ".toml"
_GOOD = b"""
model = "solo"
queries = ["a dog barking", "rain"]
negatives = ["wind"]
mode = "remove"
gain = -6.0
input_device = "USB Audio, ALSA"
block_size = 128
latency = "low"
advance = "250ms"
tight = true
"""
_ODD = (
    *(str(number) for number in INTERESTING),
    *("nan", "inf", "-inf", "1e999", "0x" + "f" * 300, "9" * 5000, "true", '""', '"\\u0000"'),
    *("[]", "[" * 3000 + "]" * 3000, "{}", "{a.b = 1}", '["", 1]', "1979-05-27", '"' + "x" * 9000),
    *('"/etc/passwd"', '"\\u001b[2J"', '"""\n"""', "+", "é"),
)


def seeds() -> tuple[bytes, ...]:
    return (_GOOD,)


def mutate(rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return damage(rng, _GOOD, seeds())
    lines = _GOOD.decode().strip().splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        line = f"{rng.choice([*KEYS, 'extra', 'a.b', '[x]'])} = {rng.choice(_ODD)}"
        lines[rng.randrange(len(lines))] = line
    return "\n".join(lines).encode()


def use(path: Path) -> None:
    read(path)
