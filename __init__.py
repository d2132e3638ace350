"""Soloist: separates one sound from many, live, asked for in words.

The names below are the public face. They are loaded on first use (PEP 562), so that
``import soloist`` costs nothing and never brings torch, onnxruntime or numpy along.

- words and audio in, separated audio out: `Separator`
- a model: `Bundle`, `Spec`
- playing it: `Session` (one hop), `Processor` (any block; `Change` turns a parameter within one),
  `LiveStream` (a sound card)
- files: `separate_array`, `read_audio`, `write_audio`
- words: `conditioning_for`; `open_encoder` for their embeddings
- what went wrong: `SoloistError` and its family in `soloist.runtime.errors`
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .runtime.bundle import Bundle
    from .runtime.errors import SoloistError
    from .runtime.queries import conditioning_for, open_encoder
    from .runtime.session import Session
    from .runtime.spec import Spec
    from .streaming.chain import Change
    from .streaming.files import read_audio, write_audio
    from .streaming.live.stream import LiveStream
    from .streaming.offline import separate_array
    from .streaming.processor import Processor
    from .streaming.separator import Separator

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "Change",
    "LiveStream",
    "Processor",
    "Separator",
    "Session",
    "SoloistError",
    "Spec",
    "conditioning_for",
    "open_encoder",
    "read_audio",
    "separate_array",
    "write_audio",
]

_HOME = {
    "Bundle": ".runtime.bundle",
    "Change": ".streaming.chain",
    "LiveStream": ".streaming.live.stream",
    "Processor": ".streaming.processor",
    "Separator": ".streaming.separator",
    "Session": ".runtime.session",
    "SoloistError": ".runtime.errors",
    "Spec": ".runtime.spec",
    "conditioning_for": ".runtime.queries",
    "open_encoder": ".runtime.queries",
    "read_audio": ".streaming.files",
    "separate_array": ".streaming.offline",
    "write_audio": ".streaming.files",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value  # the next look-up no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
