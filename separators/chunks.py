"""A whole recording cut into clips, each separated alone: what several authors' inference does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .spectrogram import Spectrogram, as_pairs


@torch.no_grad()
def separate_chunks(
    network: nn.Module,
    front: Spectrogram,
    audio: Tensor,
    conditioning: Tensor,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Separates consecutive clips: no overlap, no cross-fade.

    The last one is filled up with silence, which is cut off again.

    Args:
        network: ``forward(spectrogram, conditioning) -> masks``, one real number a cell.
        front: its transform.
        audio: ``(samples,)`` float32, one sample or more.
        conditioning: ``(queries, size)``.
        progress: called with the finished share, 0 to 1.

    Returns:
        ``(queries, samples)`` float32.
    """
    samples = len(audio)
    clips = functional.pad(audio, (0, -samples % front.clip)).split(front.clip)
    separated = []
    for n, clip in enumerate(clips):
        spectrum = front.analyse(clip)
        masks = network(as_pairs(spectrum)[None], conditioning)[0, ..., 0]
        separated.append(front.synthesise(masks * spectrum, front.clip))
        if progress is not None:
            progress((n + 1) / len(clips))
    return torch.cat(separated, dim=-1)[:, :samples]
