"""A listener's checkpoint into what a bundle of ``solo`` carries."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import onnx
from torch import Tensor, nn

from ..runtime.errors import BundleError
from ..runtime.listener import Hearing, Opposition
from ..separators.checkpoints import Checkpoint
from ..separators.listener import Listener, load_listener
from ..separators.solo import Solo, SoloConfig
from ..separators.yamnet import BINS, FRAMES, HOP, N_FFT, RATE, WINDOW
from .graph import listener_graph
from .precision import to_fp16

EVERY_S, BUDGET_S = 0.24, 0.032
OPPOSITION = Opposition(
    share=0.8,
    bias=-0.6,
    lift=0.1,
    usual=-2.5,
    unlike=0.5,
    same=0.8,
    memory_s=3.0,
    offsets=SoloConfig.patch,
)
"""Chosen by ``benchmarks.opposing``: see ``docs/solo-log.md``."""


def carried(path: Path, solo: Checkpoint[Solo]) -> str:
    """A listener's graph, weights in float16, in base64.

    Args:
        path: its checkpoint.
        solo: what it is to listen for.

    Raises:
        BundleError: the checkpoint cannot be read, or does not go with the separator.
    """
    try:
        listener = load_listener(path)
    except ValueError as error:
        raise BundleError(str(error)) from error
    config, classes = solo.network.config, listener.network.classes
    times, rest = divmod(config.sample_rate, RATE)
    unknown = [name for name in classes if name not in solo.facts["vocabulary"]]
    if rest:
        raise BundleError(
            f"{path} hears at multiples of {RATE} Hz, the separator at {config.sample_rate} Hz"
        )
    if unknown:
        raise BundleError(
            f"{path} knows {', '.join(unknown[:3])}, which the separator was not trained on; train "
            "both on the same recordings"
        )
    hearing = hearing_of(listener.network, config)
    model = listener_graph(_AtRate(listener.network, times), FRAMES, BINS)
    to_fp16(model)
    onnx.helper.set_model_props(model, {"soloist.hearing": hearing.to_json()})
    return base64.b64encode(model.SerializeToString()).decode()


def hearing_of(listener: Listener, config: SoloConfig) -> Hearing:
    """What a listener says about itself beside a separator of that configuration."""
    times = config.sample_rate // RATE
    return Hearing(
        window=times * WINDOW,
        hop=times * HOP,
        n_fft=times * N_FFT,
        classes=listener.classes,
        every_s=EVERY_S,
        budget_s=BUDGET_S,
        opposition=replace(OPPOSITION, offsets=config.patch),
    )


class _AtRate(nn.Module):
    """Hears the magnitudes of a higher rate, which are as many times as large."""

    def __init__(self, listener: Listener, times: int) -> None:
        super().__init__()
        self.listener, self.scale = listener, 1.0 / times

    def forward(self, magnitudes: Tensor) -> Tensor:
        logits: Tensor = self.listener(self.scale * magnitudes)
        return logits
