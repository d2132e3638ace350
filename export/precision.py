"""Graphs with their large weights in int8: a quarter of the memory that each hop has to read.

A hop multiplies one vector by each weight matrix, so it takes as long as the weights take to come
from memory. They are stored as whole numbers from -127 to 127 with a scale for each block of 32 in
a column (``BLOCK``), by the standard operator ``DequantizeLinear`` before the product: any ONNX
runtime can play it. onnxruntime from 1.25 on fuses the two, keeps the weights in int8 on the CPU
and rounds the vector, too, block by block; told not to, it unfolds the weights to float32 when it
loads.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

BLOCK = 32
SMALLEST = 65_536
"""Weights that a matrix must have to be worth it; smaller ones stay in the cache anyway."""
_WORTH_HALVING = 1024


def to_int8(model: onnx.ModelProto) -> int:
    """Stores the weights of the large matrix products in int8, in place.

    A product is a ``MatMul`` or ``Gemm`` of something by a constant matrix whose rows divide into
    blocks; what follows must not be a ``Relu``, with which onnxruntime would fuse it first.

    Returns:
        How many products were taken.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    taken = 0
    for node in model.graph.node:
        weight = _weight(node, weights)
        if weight is None:
            nodes.append(node)
            continue
        taken += 1
        name = f"{node.input[1]}.{taken}"
        quantised, scale = _blocks(weight)
        model.graph.initializer.append(numpy_helper.from_array(quantised, f"{name}.int8"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes += _product(node, name)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model.graph)
    return taken


def to_fp16(model: onnx.ModelProto) -> int:
    """Stores large weights in float16, in place; they are float32 again once loaded.

    For a graph whose speed is not that of its memory: half the file, the same products.

    Returns:
        How many arrays were taken.
    """
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or math.prod(tensor.dims) < _WORTH_HALVING:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        stored = f"{name}.fp16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name, to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return len(casts)


def to_fp32(model: onnx.ModelProto) -> int:
    """Stores weights that are in int8, with scales by block, in float32, in place.

    Returns:
        How many matrices there were.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or not all(name in stored for name in node.input):
            nodes.append(node)
            continue
        steps, scale = (numpy_helper.to_array(stored[name]) for name in node.input)
        options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        scales = np.repeat(scale, options["block_size"], axis=options["axis"])
        weight = steps.astype(np.float32) * scales
        model.graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
    taken = len(model.graph.node) - len(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model.graph)
    return taken


def _weight(node: NodeProto, weights: dict[str, TensorProto]) -> NDArray[np.float32] | None:
    """The matrix that the node multiplies by, [rows, columns], if it is one to take."""
    if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in weights:
        return None
    stored = weights[node.input[1]]
    large = len(stored.dims) == 2 and math.prod(stored.dims) >= SMALLEST
    if not large or stored.data_type != TensorProto.FLOAT:
        return None
    options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if any(options.get(name, 1.0) != 1.0 for name in ("alpha", "beta")) or options.get("transA"):
        return None
    matrix: NDArray[np.float32] = numpy_helper.to_array(stored)
    matrix = matrix.T if options.get("transB") else matrix
    return matrix if len(matrix) % BLOCK == 0 else None


def _blocks(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers [rows, columns] and scales [rows / BLOCK, columns]."""
    blocks = weight.reshape(-1, BLOCK, weight.shape[1])
    scale = np.abs(blocks).max(axis=1).astype(np.float32) / np.float32(127)
    steps = np.rint(blocks / np.where(scale > 0.0, scale, 1.0)[:, None])
    return steps.astype(np.int8).reshape(weight.shape), scale


def _product(node: NodeProto, name: str) -> list[NodeProto]:
    """The same product by the stored weights. A ``Gemm`` becomes ``MatMul`` and ``Add``."""
    unfolded, output = f"{name}.float", node.output[0]
    biased = len(node.input) == 3
    product = f"{output}.product" if biased else output
    stored = [f"{name}.int8", f"{name}.scale"]
    made = [
        helper.make_node(
            "DequantizeLinear", stored, [unfolded], unfolded, axis=0, block_size=BLOCK
        ),
        helper.make_node("MatMul", [node.input[0], unfolded], [product], product),
    ]
    if biased:
        made.append(helper.make_node("Add", [product, node.input[2]], [output], output))
    return made


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    used |= {each.name for each in graph.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
