"""What a peer is to the benchmark, and what to say where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ...runtime.ort import session_options

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Peer:
    """Another program's separator or denoiser, fed a block at a time.

    `process` takes `block` new samples of one channel, float32 at full scale 1.0, and returns as
    many. `latency` is the algorithmic one in samples, the block included: from a sound to the same
    sound cleaned if computing took no time. `weights` says where they come from.
    """

    name: str
    does: str
    weights: str
    sample_rate: int
    block: int
    latency: int
    process: Callable[[Samples], Samples]


class Absent(Exception):
    """A peer is not here; the message says what would make it run."""


def find(folder: Path | None, name: str, remedy: str) -> Path:
    """The file of that name somewhere below the folder. Raises `Absent` with the remedy."""
    if folder is None:
        raise Absent(remedy)
    found = sorted(folder.rglob(name))
    if not found:
        raise Absent(f"no {name} below {str(folder)!r}; {remedy}")
    return found[0]


def open_graph(path: Path) -> Any:
    """An ONNX graph as a session that works like Soloist's own; older than what those may be."""
    return onnxruntime.InferenceSession(
        str(path), session_options(), providers=["CPUExecutionProvider"]
    )
