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
from ..runtime.spec import Fill, Frames, Precision, Query, Spec
from ..separators.columns import Span
from ..separators.spectrogram import Spectrogram
from .graph import window_graph
from .parity import window_parity
from .window_precision import to_int8_products


@dataclass(frozen=True)
class Windows:
    """How a bundle's windows follow each other unless its user chooses otherwise, in frames.

    What is None is as the system has it.

    Attributes:
        advance: from one window to the next.
        crossfade: in which a window takes over from the one before.
        lookahead: frames of a window to the right of the newest one used.
        room: frames with masks beyond those that this schedule uses, so that users can choose a
            longer advance or look-ahead.
        whole: masks for every frame; else only for those of the schedule and the room, which costs
            a fraction.
        seconds: length of a window; None: as in training.
    """

    advance: int | None = None
    crossfade: int | None = None
    lookahead: int = 0
    room: int | None = None
    whole: bool = False
    seconds: float | None = None

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
        int8: whether its matrix products may be of whole numbers.
        advance, crossfade, room: as of :class:`Windows`, where its user says nothing.
        resized: the same with windows of another number of samples; None where there is no other.
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
    int8: bool = False
    advance: int = 16
    crossfade: int = 4
    room: int = 0
    resized: Callable[[int], WindowedModel] | None = None
    training: Mapping[str, Any]
    checkpoint_sha256: str
    extras: Mapping[str, str] = field(default_factory=dict)


def export_windowed(
    model: WindowedModel,
    output: Path,
    windows: Windows,
    *,
    name: str,
    card: str | None = None,
    precision: Precision = "fp32",
) -> Spec:
    """Writes the bundle, and measures how closely it follows the network.

    Args:
        precision: of matrix products; see :mod:`.window_precision`.

    Returns:
        The spec that the bundle carries.

    Raises:
        BundleError: windows or a precision that the network cannot have, or the bundle cannot be
            written.
    """
    if precision != "fp32" and not model.int8:
        raise BundleError(f"{model.architecture} is exported in fp32 only, not in {precision}")
    model = _resized(model, windows)
    spec = replace(_spec(model, windows, name), precision=precision)
    span = emitted(spec)
    graph = window_graph(
        model.live(span).eval(),
        model.front.bins,
        model.front.frames,
        model.conditioning,
        batch=model.free_batch,
    )
    if precision == "int8":
        graph = to_int8_products(graph)
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


def _resized(model: WindowedModel, windows: Windows) -> WindowedModel:
    if windows.seconds is None:
        return model
    if model.resized is None:
        raise BundleError(f"windows of {model.architecture} are as long as in training")
    samples = round(windows.seconds * model.front.sample_rate)
    if samples < 2 * model.front.n_fft:
        raise BundleError(
            f"a window of {windows.seconds} s is too short; {model.architecture} takes "
            f"{2 * model.front.n_fft / model.front.sample_rate:.3f} s or more"
        )
    return model.resized(samples)


def _spec(model: WindowedModel, windows: Windows, name: str) -> Spec:
    front = model.front
    advance = model.advance if windows.advance is None else windows.advance
    crossfade = model.crossfade if windows.crossfade is None else windows.crossfade
    room = model.room if windows.room is None else windows.room
    most = front.frames - windows.lookahead
    used = advance + crossfade
    frames = Frames(front.n_fft, front.hop, "hann", "hann-istft", front.padding)
    schedule = Schedule(
        frames=frames,
        window_samples=front.clip,
        emitted=most if windows.whole else max(used, min(used + room, most)),
        baked=windows.lookahead,
        crossfade=crossfade,
        advance=advance,
        lookahead=windows.lookahead,
        compute=advance,
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
        advance_frames=advance,
        crossfade_frames=crossfade,
        fill=model.fill,
    )


def _save(graph: onnx.ModelProto, spec: Spec, extras: Mapping[str, str], path: Path) -> None:
    onnx.helper.set_model_props(graph, {"soloist": spec.to_json(), **extras})
    onnx.save(graph, path)
