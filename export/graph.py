"""Networks as ONNX graphs: one hop of a streaming separator, or one window of another."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import onnxscript
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.errors import BundleError

OPSET = 21


def hop_graph(
    hop: nn.Module, bins: int, state_size: int, conditioning: NDArray[np.float32]
) -> onnx.ModelProto:
    """Traces one hop with free numbers of channels and queries.

    Args:
        hop: ``(spectrum, conditioning, state) -> (stems, state)`` of one frame, all with a batch
            of channels first, stems ``(batch, queries, bins, 2)``.
        bins: frequency bins of a frame.
        state_size: numbers of state a channel.
        conditioning: ``(queries, size)``, becomes the default of the input ``conditioning``.
    """
    # two of each, so that no axis of length one is taken for a constant
    example = (
        torch.randn(2, bins, 2),
        torch.from_numpy(np.repeat(conditioning[:1], 2, axis=0)),
        torch.zeros(2, state_size),
    )
    batch, queries = torch.export.Dim("B"), torch.export.Dim("Q")
    model = _trace(
        hop,
        example,
        ["spectrum", "conditioning", "state"],
        ["stems", "next_state"],
        ({0: batch}, {0: queries}, {0: batch}),
    )
    _set_default(model, conditioning)
    return model


def window_graph(
    network: nn.Module, bins: int, frames: int, conditioning: NDArray[np.float32], *, batch: bool
) -> onnx.ModelProto:
    """Traces one window: ``spectrogram`` and ``conditioning`` to ``masks``.

    Args:
        network: ``forward(spectrogram, conditioning) -> masks``, in evaluation mode.
        bins, frames: of a window.
        conditioning: ``(queries, size)``, becomes the default of that input; the number of queries
            is free.
        batch: whether the number of channels is free, too; else it is one.

    Raises:
        BundleError: the graph holds operators that a bundle may not have.
    """
    # two channels and three queries, so that no axis is taken for a constant or for another
    example = (
        torch.randn(2 if batch else 1, bins, frames, 2),
        torch.from_numpy(np.repeat(conditioning[:1], 3, axis=0)),
    )
    free = {0: torch.export.Dim("B")} if batch else {}
    axes = (free, {0: torch.export.Dim("Q")})
    model = _trace(network, example, ["spectrogram", "conditioning"], ["masks"], axes)
    open_axes = [value.type.tensor_type.shape.dim[0].dim_param != "" for value in model.graph.input]
    if open_axes != [batch, True]:  # the exporter falls back on fixed numbers without a word
        raise BundleError("the graph takes one number of channels and queries only")
    model = fold(model)
    check_operators(model)
    _set_default(model, conditioning)
    return model


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph in which all is computed that depends on no input, however large it is."""
    folded = onnxscript.ir.serde.deserialize_model(model)
    everything = 1 << 30
    with _quiet("onnxscript"):
        onnxscript.optimizer.fold_constants(
            folded, input_size_limit=everything, output_size_limit=everything
        )
    return onnxscript.ir.serde.serialize_model(folded)


def check_operators(model: onnx.ModelProto) -> None:
    """Raises ``BundleError`` for operators that not every ONNX Runtime runs, or runs fast.

    Those are custom ones, those over complex numbers, and sampling on a grid.
    """
    complex_types = {onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128}
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    for value in values:
        if value.type.tensor_type.elem_type in complex_types:
            raise BundleError(f"the graph holds complex numbers ({value.name})")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type in ("GridSample", "DFT", "STFT"):
            raise BundleError(f"the graph holds the operator {node.domain}{node.op_type}")


def _set_default(model: onnx.ModelProto, conditioning: NDArray[np.float32]) -> None:
    default = onnx.numpy_helper.from_array(conditioning, "conditioning")
    model.graph.initializer.append(default)


def conditioner_graph(conditioner: nn.Module, dimension: int) -> onnx.ModelProto:
    """Traces what turns query embeddings ``[N, dimension]`` into conditioning ``[N, D]``."""
    rows = {0: torch.export.Dim("N")}
    example = (torch.randn(2, dimension),)
    return _trace(conditioner, example, ["embedding"], ["conditioning"], (rows,))


def listener_graph(listener: nn.Module, frames: int, bins: int) -> onnx.ModelProto:
    """Traces what turns one window's ``magnitudes`` into the logits ``presence``."""
    return _trace(listener, (torch.rand(1, frames, bins),), ["magnitudes"], ["presence"], ({},))


def _trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    dynamic: tuple[dict[int, torch.export.Dim], ...],
) -> onnx.ModelProto:
    with _quiet("torch.onnx"), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            module.eval(),
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # as it is where dynamo is asked for
    model = program.model_proto
    for node in model.graph.node:  # the exporter's notes name files of the machine it ran on
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    return model


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Inside, a logger says nothing but errors."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
