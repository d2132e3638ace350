"""A whole recording through a network of the CLIPSep family, as its authors' inference does it.

The recording is repeated from its start to a whole number of clips, transformed at once, masked in
one pass of the network, and transformed back; no windows, no cross-fades. Masks depend on how long
the pass is (see ``unet.double``), so this is what published figures of whole files mean.

Where ``infer.py`` of sony/CLIPSep has a fault, the sound thing is done: a recording of exactly n
clips takes n, not n + 1; the tail that its inverse transform leaves out, up to 254 samples, is
there; noise heads do not change how the mask is read; and recordings longer than :data:`MOST_CLIPS`
go in overlapping passes, where one pass needs memory in proportion and fails after 17 minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from .log_picture import Geometry
from .spectrogram import as_pairs, binary

MOST_CLIPS = 16
"""Clips of one pass: 65 s at 16 kHz, which takes about 2 GB."""
OVERLAP_CLIPS = 2
"""Clips that two passes share. They cross-fade over one clip, half a clip from either border."""


class ClipNetwork(Protocol):
    """A network that makes masks of clips."""

    @property
    def geometry(self) -> Geometry: ...
    def __call__(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor: ...


@torch.no_grad()
def separate_whole(
    network: ClipNetwork,
    audio: Tensor,
    conditioning: Tensor,
    *,
    threshold: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Separates a recording at the network's rate.

    Args:
        network: in evaluation mode.
        audio: ``(samples,)`` float32, one sample or more; what is beyond [-1, 1] is clipped.
        conditioning: ``(queries, size)``.
        threshold: a cell is kept whole where its mask is above, else dropped; None: as much of
            each cell as its mask says.
        progress: called with the finished share, 0 to 1.

    Returns:
        ``(queries, samples)`` float32 in [-1, 1].
    """
    clip = network.geometry.front.clip
    clips = -(-len(audio) // clip)
    # wrapped, as the clips of training were where a recording was too short
    whole = audio.clamp(-1, 1).repeat(-(-clips * clip // len(audio)))[: clips * clip]
    separated = torch.zeros(len(conditioning), len(whole))
    for first, last in _passes(clips):
        piece = whole[first * clip : last * clip]
        stems = _one_pass(network, piece, conditioning, threshold)
        weight = _fade_in(len(piece), clip) if first else torch.ones(len(piece))
        separated[:, first * clip : last * clip].lerp_(stems, weight)
        if progress is not None:
            progress(last / clips)
    return separated[:, : len(audio)].clamp(-1, 1)


def _passes(clips: int) -> Iterator[tuple[int, int]]:
    """First clip and the one after the last, of each pass."""
    last = min(clips, MOST_CLIPS)
    yield 0, last
    while last < clips:
        first, last = last - OVERLAP_CLIPS, min(clips, last - OVERLAP_CLIPS + MOST_CLIPS)
        yield first, last


def _fade_in(samples: int, clip: int) -> Tensor:
    """How a pass takes over from the one before: in the middle of what both have, over a clip."""
    margin = (OVERLAP_CLIPS - 1) * clip // 2
    return ((torch.arange(samples) - margin) / clip).clamp(0, 1)


def _one_pass(
    network: ClipNetwork, audio: Tensor, conditioning: Tensor, threshold: float | None
) -> Tensor:
    front = network.geometry.front
    spectrum = front.analyse(audio)
    masks = network(as_pairs(spectrum)[None], conditioning)[0, ..., 0]
    if threshold is not None:
        masks = binary(masks, threshold)
    return front.synthesise(masks * spectrum, len(audio))
