"""Scores a network on some mixtures of a fixed list while it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..separators.solo import Solo
from .metrics import attenuation, si_sdr
from .mixture_list import read_mixtures, render
from .phrases import embed


class Development:
    """Every ``stride``-th mixture of a list, rendered once.

    Args:
        mixtures: list of mixtures beside its clips.
        encoder: name of the text encoder.
        stride: 1 takes all; scoring takes about as long as 20 steps for a third of 260.
    """

    def __init__(self, mixtures: Path, encoder: str, stride: int = 3) -> None:
        listed = read_mixtures(mixtures)[::stride]
        self.queries = [mixture.query for mixture in listed]
        self.signals = [render(mixture, mixtures.parent) for mixture in listed]
        self.embeddings = embed(set(self.queries), encoder)

    @torch.no_grad()
    def score(self, network: Solo) -> dict[str, float]:
        """Returns mean and median SI-SDR improvement and mean attenuation of what is absent, dB."""
        front = network.config.frontend
        improvements, attenuations = [], []
        for query, (mixture, target) in zip(self.queries, self.signals, strict=True):
            padded = np.pad(mixture, (0, 2 * front.hop)).astype(np.float32)
            spectrum = torch.view_as_real(front.analyse(torch.from_numpy(padded)))[None]
            words = network.condition(torch.from_numpy(self.embeddings[query])[None])
            stems, _ = network(spectrum, words, network.initial_state(1))
            estimate = front.synthesise(torch.view_as_complex(stems[0, 0])).numpy()[: len(mixture)]
            if target.any():
                improvements.append(si_sdr(estimate, target) - si_sdr(mixture, target))
            else:
                attenuations.append(attenuation(mixture, estimate))
        figures = {}
        if improvements:
            figures["si_sdri_mean"] = round(float(np.mean(improvements)), 3)
            figures["si_sdri_median"] = round(float(np.median(improvements)), 3)
        if attenuations:
            figures["absent_db"] = round(float(np.mean(attenuations)), 2)
        return figures
