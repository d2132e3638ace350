"""A whole recording through the bi-modal separator, window by window, as its authors' demo does it.

Consecutive windows of 131 070 samples, each transformed, separated and transformed back alone: no
overlap, no cross-fade. The last one is filled up with silence, which is cut off again. Where the
published ``demo.py`` has a fault, the sound thing is done: learnt statistics in place of those of
the window at hand (see :func:`~.bimodal.batch_statistics`), and no window of mere silence after a
recording that ends with a window.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .bimodal import BiModal
from .chunks import separate_chunks


def separate_windows(
    network: BiModal,
    audio: Tensor,
    conditioning: Tensor,
    *,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Separates a recording at the network's rate.

    Args:
        network: in evaluation mode.
        audio: ``(samples,)`` float32; what is beyond [-1, 1] is clipped.
        conditioning: ``(queries, size)``.
        progress: called with the finished share, 0 to 1.

    Returns:
        ``(queries, samples)`` float32.
    """
    return separate_chunks(
        network, network.config.front, audio.clamp(-1, 1), conditioning, progress
    )
