"""How closely the exported graph follows the network it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..runtime.bundle import Bundle
from ..runtime.session import Session
from .graph import StreamingSeparator

HOPS = 400
"""More than a second at 48 kHz and hop 128: long enough for the state to drift, if it did."""


@torch.no_grad()
def parity(separator: StreamingSeparator, path: Path, seed: int = 0) -> dict[str, float]:
    """Streams unit-scale noise through both, hop by hop, and compares the stems.

    Args:
        separator: the network.
        path: a bundle made from it.

    Returns:
        ``max_abs``: the largest difference of any number; ``snr_db``: energy of torch's stems over
        the energy of the difference, dB.
    """
    bundle = Bundle.open(path)
    session = Session(bundle, device="cpu")
    generator = torch.Generator().manual_seed(seed)
    level = torch.exp(torch.randn(HOPS, 1, 1, 1, generator=generator))  # loud and soft moments
    bins = bundle.spec.frames.bins
    spectra = level * torch.randn(HOPS, 1, bins, 2, generator=generator)
    spectra /= spectra.abs().max()
    query = torch.from_numpy(baked_conditioning(path))
    state: Tensor = separator.initial_state(1)
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


def baked_conditioning(path: Path) -> np.ndarray:
    """Returns the default conditioning of a bundle, ``(queries, size)`` float32."""
    import onnx

    model = onnx.load(path)
    (found,) = [i for i in model.graph.initializer if i.name == "conditioning"]
    return np.array(onnx.numpy_helper.to_array(found))
