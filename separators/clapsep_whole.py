"""A whole recording through CLAPSep, as its authors' published program does it: clips of 10 s.

Each clip is separated alone. A recording that is louder than full scale anywhere is made quieter as
a whole first, to 0.9, as mixtures were in training; nothing else levels it. Where the program has a
fault, the sound thing is done: that gain is undone afterwards, and what fills up the last clip is
cut off.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .chunks import separate_chunks
from .clapsep import CLAPSep

_LOUDEST = 0.9


def separate_clips(
    network: CLAPSep,
    audio: Tensor,
    conditioning: Tensor,
    *,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Separates a recording at 32 kHz.

    Args:
        network: in evaluation mode.
        audio: ``(samples,)`` float32, one sample or more.
        conditioning: ``(queries, size)``.
        progress: called with the finished share, 0 to 1.

    Returns:
        ``(queries, samples)`` float32.
    """
    peak = float(audio.abs().max())
    gain = _LOUDEST / peak if peak > 1 else 1.0
    return separate_chunks(network, network.front, gain * audio, conditioning, progress) / gain
