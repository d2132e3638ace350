"""Losses for masks that are constant over a band.

With one gain ``m`` a band and frame, the error energy of ``m X`` against a source ``S`` is
``m^2 |X|^2 - 2 m Re(X* S) + |S|^2`` summed over the bins of the band. So three band energies hold
everything, and no spectrum enters the graph that gradients flow through.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BandEnergies:
    """Energies summed over the bins of each band.

    Attributes:
        mixture: ``|X|^2``, ``(batch, 1, frames, bands)``.
        cross: ``Re(X* S)`` of every query's source, ``(batch, queries, frames, bands)``; zero
            where the query's sound is absent.
        source: ``|S|^2`` summed over time and frequency, ``(batch, queries)``.
    """

    mixture: Tensor
    cross: Tensor
    source: Tensor


def log_error(mask: Tensor, energies: BandEnergies, floor: float = 1e-3) -> Tensor:
    """Error-to-signal ratio in dB, ``(batch, queries)``: the negative SDR, no lower than the floor.

    For a query whose source is silent the mixture's energy is the reference, so the figure is the
    negative attenuation.
    """
    error = (mask.square() * energies.mixture - 2 * mask * energies.cross).sum((-2, -1))
    reference = energies.source + (energies.source == 0) * energies.mixture.sum((-2, -1))
    ratio = (error + energies.source).clamp(min=0) / (reference + 1e-9)
    return 10 * torch.log10(ratio + floor)


def loudness(energies: BandEnergies) -> Tensor:
    """What each cell counts, ``(batch, 1, frames, bands)``: the mixture's energy to the power 0.25,
    so that quiet parts of the picture teach, too. Adds up to 1.
    """
    weight = energies.mixture.pow(0.25)
    return weight / (weight.sum((-2, -1), keepdim=True) + 1e-9)


def mask_error(mask: Tensor, energies: BandEnergies) -> Tensor:
    """Cross-entropy against the ideal band mask, ``(batch, queries)``.

    Weighted by :func:`loudness`. The ideal mask is the Wiener-like ``Re(X* S) / |X|^2`` held to
    [0, 1].
    """
    ideal = (energies.cross / (energies.mixture + 1e-9)).clamp(0, 1)
    weight = loudness(energies)
    entropy = torch.nn.functional.binary_cross_entropy(mask, ideal, reduction="none")
    return (weight * entropy).sum((-2, -1))
