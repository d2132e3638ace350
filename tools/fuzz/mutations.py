"""Damage that knows nothing of the format: bits, ends, pieces, and numbers that look like sizes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

INTERESTING = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 127, 128, 255, 256, 1000, 1023, 4095, 65535, 65536),
    *(2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1),
)
"""Numbers at the edges of types and sizes."""


def damage(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """`content` after one to four blows, most often at its front, where headers are."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(_BLOWS)(rng, content or b"\0", rng.choice(others))
    return content


def _place(rng: random.Random, size: int) -> int:
    front = min(size, rng.choice((64, 256, size)))
    return rng.randrange(front) if front else 0


def _flip(rng: random.Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    for _blow in range(rng.choice((1, 1, 2, 8, 32))):
        changed[_place(rng, len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, content: bytes, _: bytes) -> bytes:
    changed = bytearray(content)
    at, size = _place(rng, len(changed)), rng.randrange(1, 32)
    changed[at : at + size] = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    return bytes(changed)


def _cut(rng: random.Random, content: bytes, _: bytes) -> bytes:
    return content[: rng.choice((_place(rng, len(content)), rng.randrange(len(content))))]


def _drop(rng: random.Random, content: bytes, _: bytes) -> bytes:
    at, size = _place(rng, len(content)), rng.choice((1, 4, 30, 1000))
    return content[:at] + content[at + size :]


def _repeat(rng: random.Random, content: bytes, _: bytes) -> bytes:
    at, size = _place(rng, len(content)), rng.choice((1, 4, 30, 1000))
    return content[: at + size] + content[at:]


def _splice(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: _place(rng, len(content))] + other[_place(rng, len(other)) :]


def _size(rng: random.Random, content: bytes, _: bytes) -> bytes:
    """A number at the edge of something, where perhaps a length stands."""
    width, order = rng.choice((1, 2, 3, 4, 8)), rng.choice(("little", "big"))
    number = rng.choice(INTERESTING) % (1 << (8 * width))
    at = _place(rng, len(content))
    written = number.to_bytes(width, "little" if order == "little" else "big")
    return content[:at] + written + content[at + width :]


def _varint(rng: random.Random, content: bytes, _: bytes) -> bytes:
    """The same in the form that Protocol Buffers has."""
    number, written = rng.choice(INTERESTING), b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    at = _place(rng, len(content))
    return content[:at] + written + bytes([number]) + content[at + rng.choice((0, 1, 2)) :]


_BLOWS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    *(_flip, _overwrite, _cut, _drop, _repeat, _splice, _size, _size, _varint),
)
