"""Soloist's own model, as a peer among peers."""

from __future__ import annotations

import numpy as np

from ...runtime.bundle import Bundle
from ...streaming.processor import Processor
from .peer import Peer, Samples


def open_solo(model: str = "solo") -> Peer:
    """A streaming bundle by name or path, a hop at a time. Raises `BundleError`."""
    bundle = Bundle.open(model)
    processor = Processor(bundle, device="cpu")
    hop, rate = bundle.spec.frames.hop, bundle.spec.sample_rate
    processor.prepare(rate, hop, 1, block=hop, realtime=True)  # the listener beside, as live
    out = np.zeros((hop, 1), np.float32)

    def process(block: Samples) -> Samples:
        processor.process(block[:, None], out)
        return out[:, 0].copy()

    latency = hop + processor.latency_samples
    return Peer(bundle.spec.name, "any sound by words", "its own", rate, hop, latency, process)
