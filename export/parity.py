"""How closely an exported graph follows the network it was made from.

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
from torch import Tensor, nn

from ..runtime.bundle import Bundle
from ..runtime.errors import BundleError
from ..runtime.ort import open_cpu
from ..runtime.session import Session
from ..separators.columns import Span
from ..separators.spectrogram import Spectrogram, as_pairs

HOPS = 400
"""More than a second at 48 kHz and hop 128: long enough for the state to drift, if it did."""
CLIPS = 2


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

    Raises:
        BundleError: a figure is not finite.
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
        worst = float(np.maximum(worst, np.abs(difference).max()))  # a NaN stays
        error += float(np.square(difference).sum())
        energy += float(expected.square().sum())
    return _figures(worst, error, energy)


@torch.no_grad()
def window_parity(
    network: nn.Module,
    path: Path,
    front: Spectrogram,
    span: Span,
    conditioning: NDArray[np.float32],
    seed: int = 0,
) -> dict[str, float]:
    """Sends clips of noise that swells and fades through both, and compares the masks.

    Args:
        network: ``forward(spectrogram, conditioning) -> masks`` over whole clips.
        path: a windowed bundle made from it.
        front: its STFT.
        span: the frames that the bundle makes masks for.
        conditioning: ``(queries, size)`` to ask both for.

    Returns:
        ``max_abs``: the largest difference of any mask; ``snr_db``: energy of torch's masked
        spectrograms over the energy of the difference, dB.

    Raises:
        BundleError: a figure is not finite.
    """
    session = open_cpu(path)
    generator = torch.Generator().manual_seed(seed)
    query = torch.from_numpy(conditioning)
    worst = error = energy = 0.0
    for _ in range(CLIPS):
        swell = torch.exp(2 * torch.randn(1, 1, 16, generator=generator) - 3)
        level = torch.nn.functional.interpolate(swell, front.clip, mode="linear")[0]
        audio = level * torch.randn(1, front.clip, generator=generator)
        spectrogram = as_pairs(front.analyse(audio))
        expected = network(spectrogram, query)[:, :, :, span.start : span.stop].numpy()
        given = {"spectrogram": spectrogram.numpy(), "conditioning": conditioning}
        (masks,) = session.run(["masks"], given)
        difference = masks - expected
        heard = spectrogram[:, :, span.start : span.stop].square().sum(-1).numpy()[:, None]
        worst = float(np.maximum(worst, np.abs(difference).max()))  # a NaN stays
        error += float((np.square(difference).sum(-1) * heard).sum())
        energy += float((np.square(expected).sum(-1) * heard).sum())
    return _figures(worst, error, energy)


def _figures(worst: float, error: float, energy: float) -> dict[str, float]:
    figures = {"max_abs": worst, "snr_db": float(10 * np.log10((energy + 1e-30) / (error + 1e-30)))}
    if not np.isfinite(list(figures.values())).all():
        raise BundleError(
            f"network and bundle give numbers that are not finite (max_abs {worst}); no bundle is "
            "written, use another checkpoint or precision"
        )
    return figures
