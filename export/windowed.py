"""A network that hears a whole clip at once into a windowed bundle: what all such systems share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from ..runtime.errors import BundleError
from ..runtime.replacing import replacing
from ..runtime.schedule import Schedule
from ..runtime.spec import Fill, Frames, Query, Spec
from ..separators.columns import Span
from ..separators.spectrogram import Spectrogram
from .graph import window_graph
from .parity import window_parity


@dataclass(frozen=True)
class Windows:
    """How a bundle's windows follow each other unless its user chooses otherwise, in frames.

    Attributes:
        advance: from one window to the next.
        crossfade: in which a window takes over from the one before.
        lookahead: frames of a window to the right of the newest one used.
        whole: masks for every frame, so that users can choose; else only for those that this
            schedule uses, which costs a fraction.
    """

    advance: int = 16
    crossfade: int = 4
    lookahead: int = 0
    whole: bool = False

    def __post_init__(self) -> None:
        if self.whole and self.lookahead:
            raise BundleError(
                f"a look-ahead of {self.lookahead} frames cannot be baked into a bundle of whole "
                "windows; its users choose theirs when they play"
            )


@dataclass(frozen=True, kw_only=True)
class WindowedModel:
    """A network and its queries, ready to become a bundle.

    Attributes:
        architecture: name of the system.
        network: ``forward(spectrogram, conditioning) -> masks`` over a whole clip, as published:
            what the bundle is compared with.
        live: the same for some frames of a clip, as it is to be exported.
        front: its STFT.
        queries, conditioning: what is baked in; ``(queries, size)`` float32.
        fill: what stands for the time before a stream began.
        free_batch: whether one run may take any number of channels.
        training: what is known of its training.
        checkpoint_sha256: digest of the checkpoint.
        extras: further metadata of the bundle by key, such as a conditioner.
    """

    architecture: str
    network: nn.Module
    live: Callable[[Span], nn.Module]
    front: Spectrogram
    queries: tuple[Query, ...]
    conditioning: NDArray[np.float32]
    fill: Fill
    free_batch: bool = True
    training: Mapping[str, Any]
    checkpoint_sha256: str
    extras: Mapping[str, str] = field(default_factory=dict)


def export_windowed(
    model: WindowedModel, output: Path, windows: Windows, *, name: str, card: str | None = None
) -> Spec:
    """Writes the bundle, and measures how closely it follows the network.

    Returns:
        The spec that the bundle carries.

    Raises:
        BundleError: windows that the network cannot have, or the bundle cannot be written.
    """
    spec = _spec(model, windows, name)
    span = emitted(spec)
    graph = window_graph(
        model.live(span).eval(),
        model.front.bins,
        model.front.frames,
        model.conditioning,
        batch=model.free_batch,
    )
    extras = {**model.extras, **({"soloist.card": card} if card else {})}
    with replacing(output, BundleError) as part:
        _save(graph, spec, extras, part)
        figures = window_parity(model.network, part, model.front, span, model.conditioning)
        spec = replace(spec, parity=figures)
        _save(graph, spec, extras, part)
    return spec


def emitted(spec: Spec) -> Span:
    """The frames of a window that a windowed bundle makes masks for."""
    frames = spec.window_frames or 0
    stop = frames - (spec.lookahead_frames or 0)
    return Span(stop - (spec.emitted_frames or 0), stop, frames)


def digest(embedding: NDArray[np.float32]) -> str:
    """SHA-256 of an embedding's bytes, as a query's record holds it."""
    return hashlib.sha256(np.ascontiguousarray(embedding).tobytes()).hexdigest()


def _spec(model: WindowedModel, windows: Windows, name: str) -> Spec:
    front = model.front
    frames = Frames(front.n_fft, front.hop, "hann", "hann-istft", front.padding)
    schedule = Schedule(
        frames=frames,
        window_samples=front.clip,
        emitted=front.frames if windows.whole else windows.advance + windows.crossfade,
        baked=windows.lookahead,
        crossfade=windows.crossfade,
        advance=windows.advance,
        lookahead=windows.lookahead,
        compute=windows.advance,
    )
    return Spec(
        name=name,
        architecture=model.architecture,
        version=version("soloist"),
        license="that of the checkpoint",
        created_with=f"soloist {version('soloist')}, torch {torch.__version__}",
        checkpoint_sha256=model.checkpoint_sha256,
        training=model.training,
        kind="windowed",
        sample_rate=front.sample_rate,
        frames=frames,
        queries=model.queries,
        residual=True,
        latency_samples=schedule.latency_samples,
        parity={},
        window_samples=front.clip,
        window_frames=front.frames,
        emitted_frames=schedule.emitted,
        lookahead_frames=schedule.baked,
        advance_frames=windows.advance,
        crossfade_frames=windows.crossfade,
        fill=model.fill,
    )


def _save(graph: onnx.ModelProto, spec: Spec, extras: Mapping[str, str], path: Path) -> None:
    onnx.helper.set_model_props(graph, {"soloist": spec.to_json(), **extras})
    onnx.save(graph, path)
