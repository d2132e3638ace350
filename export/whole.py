"""Whole recordings by the inference that a system was published with, in torch.

Not from a bundle: how these networks mask a recording depends on how long it is (CLIPSep's
doublings, a whole file's normalisation), and the graph of a bundle has one length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..separators.linking import link

Progress = Callable[[float], None] | None
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class WholeFile:
    """A system, and what is asked of it, ready for recordings.

    Attributes:
        sample_rate: Hz.
        names: of the queries.
        procedure: separates ``(samples,)`` float32 at that rate into ``(queries, samples)``; tells
            its finished share.
    """

    sample_rate: int
    names: tuple[str, ...]
    procedure: Callable[[Tensor, Progress], Tensor]

    def separate(self, audio: Samples, *, linked: bool, progress: Progress = None) -> Samples:
        """Separates a recording, channel by channel.

        Args:
            audio: ``(samples, channels)`` at the system's rate, one sample or more.
            linked: one mask for all channels, the one that is nearest to all their own; else each
                keeps what it got.
            progress: called with the finished share, 0 to 1.

        Returns:
            Stems ``(queries, samples, channels)``.
        """
        channels = torch.from_numpy(np.ascontiguousarray(audio.T))
        stems = []
        for index, channel in enumerate(channels):

            def told(share: float, done: int = index) -> None:
                if progress is not None:
                    progress((done + share) / len(channels))

            stems.append(self.procedure(channel, told))
        separated = torch.stack(stems, dim=1)
        if linked and len(channels) > 1:
            separated = link(separated, channels)
        return separated.transpose(1, 2).numpy()
