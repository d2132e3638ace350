"""Graphs of windows with their matrix products in whole numbers.

A window multiplies thousands of rows by each weight matrix, so it takes as long as the products
take, not the weights' way from memory. Each matrix is stored in int8 with a scale for each column;
what it multiplies is rounded to uint8 with one scale, anew for every window. These are standard
operators (``DynamicQuantizeLinear``, ``MatMulInteger``). onnxruntime fuses them, and processors
with instructions for it (AVX-512 VNNI, AVX-VNNI, Arm's dot product) compute them two to four times
as fast. For one row at a time, a hop's, see ``precision``.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx

MULTIPLE = 32


def to_int8_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph with products by constant matrices in whole numbers.

    Matrices whose sides are no multiples of 32 stay as they are: those are the ones that take in
    the spectrogram or give out the masks, where rounding costs most, and few.

    Returns:
        The new graph, its metadata those of the old one.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    odd = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul"
        and any(side % MULTIPLE for side in weights.get(node.input[1], ()))
    ]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=odd,
            extra_options={"MatMulConstBOnly": True},
        )
        made = onnx.load(path)
    del made.opset_import[:]  # it adds those of operators that it did not use
    made.opset_import.extend(model.opset_import)
    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Inside, the library does not advise on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
