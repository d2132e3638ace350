"""A streaming separator as an ONNX graph that advances by one hop."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
    default = onnx.numpy_helper.from_array(conditioning, "conditioning")
    model.graph.initializer.append(default)
    return model


def conditioner_graph(conditioner: nn.Module, dimension: int) -> onnx.ModelProto:
    """Traces what turns query embeddings ``[N, dimension]`` into conditioning ``[N, D]``."""
    rows = {0: torch.export.Dim("N")}
    example = (torch.randn(2, dimension),)
    return _trace(conditioner, example, ["embedding"], ["conditioning"], (rows,))


def _trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    dynamic: tuple[dict[int, torch.export.Dim], ...],
) -> onnx.ModelProto:
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
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
    finally:
        log.setLevel(level)
    assert program is not None  # as it is where dynamo is asked for
    model = program.model_proto
    for node in model.graph.node:  # the exporter's notes name files of the machine it ran on
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    return model
