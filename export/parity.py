"""How closely the exported graph follows the network it was made from.

What is expected, on spectra of unit scale: of float32 bundles a difference of 1e-4 at most, and
90 dB. Of int8 bundles 35 dB: there the weights are rounded to 127 steps of their block's largest
and, on the CPU, so is what they multiply, which in a single product leaves 45 dB. What that does to
the separated sound is another question; ``soloist evaluate`` answers it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..runtime.bundle import Bundle
from ..runtime.session import Session

HOPS = 400
"""More than a second at 48 kHz and hop 128: long enough for the state to drift, if it did."""


class StreamingSeparator(Protocol):
    """A network over a run of frames: see ``separators``."""

    def initial_state(self, batch: int) -> Tensor: ...
    def __call__(
        self, spectrum: Tensor, conditioning: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]: ...


@torch.no_grad()
def parity(
    separator: StreamingSeparator, path: Path, conditioning: NDArray[np.float32], seed: int = 0
) -> dict[str, float]:
    """Streams noise of unit scale through both, hop by hop, two channels, and compares the stems.

    Args:
        separator: the network.
        path: a bundle made from it.
        conditioning: ``(queries, size)`` to ask both for.

    Returns:
        ``max_abs``: the largest difference of any number; ``snr_db``: energy of torch's stems over
        the energy of the difference, dB.
    """
    bundle = Bundle.open(path)
    session = Session(bundle, channels=2, device="cpu", conditioning=conditioning)
    generator = torch.Generator().manual_seed(seed)
    level = torch.exp(2 * torch.randn(HOPS, 2, 1, 1, generator=generator))  # loud and soft moments
    bins = bundle.spec.frames.bins
    spectra = level * torch.randn(HOPS, 2, bins, 2, generator=generator)
    spectra /= spectra.square().mean().sqrt()
    query = torch.from_numpy(conditioning)
    state: Tensor = separator.initial_state(2)
    worst = error = energy = 0.0
    for spectrum in spectra:
        expected, state = separator(spectrum[:, None], query, state)
        session.spectrum[:] = spectrum.numpy()
        session.step()
        difference = session.stems - expected[:, :, 0].numpy()
        worst = max(worst, float(np.abs(difference).max()))
        error += float(np.square(difference).sum())
        energy += float(expected.square().sum())
    return {"max_abs": worst, "snr_db": float(10 * np.log10(energy / (error + 1e-30)))}
