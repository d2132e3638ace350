"""One mask for all channels of what was separated channel by channel: the stereo image stays."""

from __future__ import annotations

import torch
from torch import Tensor

N_FFT, HOP = 2048, 512


@torch.no_grad()
def link(stems: Tensor, mixture: Tensor) -> Tensor:
    """Replaces stems by one mask a query times each channel of the mixture.

    The mask is the complex one that comes nearest to all channels' stems in the sum of squares,
    cell by cell: ``sum over channels of S conj(X) / sum of |X|^2``.

    Args:
        stems: ``(queries, channels, samples)``.
        mixture: ``(channels, samples)``.

    Returns:
        Of the shape of ``stems``.
    """
    window, samples = torch.hann_window(N_FFT), mixture.shape[-1]

    def transform(audio: Tensor) -> Tensor:
        return torch.stft(
            audio, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True
        )

    heard = transform(mixture)
    energy = heard.abs().square().sum(0) + 1e-20
    linked = []
    for stem in stems:
        mask = (transform(stem) * heard.conj()).sum(0) / energy
        linked.append(torch.istft(mask * heard, N_FFT, HOP, window=window, length=samples))
    return torch.stack(linked)
