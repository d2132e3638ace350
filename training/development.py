"""Scores a network on the first mixtures of a fixed list while it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..separators.solo import Solo
from .mixture_list import read_list, render, si_sdr
from .phrases import embed


class Development:
    """Every ``stride``-th mixture of a list, rendered once.

    Args:
        mixtures: CSV beside its audio.
    """

    def __init__(self, mixtures: Path, sample_rate: int, stride: int = 3) -> None:
        rows = read_list(mixtures)[::stride]
        self.items = [render(row, mixtures.parent, sample_rate) for row in rows]
        self.embeddings = embed({item.query for item in self.items})
        self.before = [si_sdr(i.mixture, i.target) if i.target.any() else 0 for i in self.items]

    @torch.no_grad()
    def score(self, network: Solo) -> dict[str, float]:
        """Returns mean and median SI-SDR improvement and mean attenuation of what is absent, dB."""
        front = network.config.frontend
        improvements, attenuations = [], []
        for item, before in zip(self.items, self.before, strict=True):
            padded = np.pad(item.mixture, (0, 2 * front.hop)).astype(np.float32)
            spectrum = torch.view_as_real(front.analyse(torch.from_numpy(padded)))[None]
            query = torch.from_numpy(self.embeddings[item.query])[None]
            stems, _ = network(spectrum, network.condition(query), network.initial_state(1))
            audio = front.synthesise(torch.view_as_complex(stems[0, 0])).double().numpy()
            estimate = audio[: len(item.mixture)]
            if item.target.any():
                improvements.append(si_sdr(estimate, item.target[: len(estimate)]) - before)
            else:
                energy = np.square(item.mixture).sum() / (np.square(estimate).sum() + 1e-12)
                attenuations.append(10 * np.log10(energy))
        return {
            "si_sdri_mean": round(float(np.mean(improvements)), 3),
            "si_sdri_median": round(float(np.median(improvements)), 3),
            "absent_db": round(float(np.mean(attenuations)), 2),
        }
