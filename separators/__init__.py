"""The networks (torch): one file a system, over shared layers.

A streaming separator is a ``torch.nn.Module`` with ``initial_state(batch)`` and
``forward(spectrum, conditioning, state) -> (stems, state)``; a windowed one, which hears a whole
clip at once, has ``forward(spectrogram, conditioning) -> masks``. Both are the signatures of the
exported graphs, so that a network and what plays it cannot drift apart. Nothing here is imported
by the live plane.

``separators.load(path)`` makes a network of a checkpoint, ours or a published one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoints import Checkpoint, load

__all__ = ["Checkpoint", "load"]


def __getattr__(name: str) -> Any:
    # torch is imported with the first of these, not with the package: text encoders live here, too
    if name in __all__:
        from . import checkpoints

        return getattr(checkpoints, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
