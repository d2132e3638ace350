"""ONNX graphs to begin with, of many kinds of operators, and damage that keeps them ONNX."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...runtime.operators import OPERATORS
from .mutations import INTERESTING

FLOAT = onnx.TensorProto.FLOAT
SIGNED = [*INTERESTING, *(-number for number in INTERESTING)]
SIGNED = [number for number in SIGNED if -(1 << 63) <= number < 1 << 63]
SMALL = (-3, -2, -1, 0, 1, 2, 3, 4, 5, 8, 33)

# Nodes as (operator, inputs, outputs, attributes): branches that a separator could hold, from
# `heard` [B, 2, 33], each ending in the values named in ENDS.
_BRANCHES: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
    ("Conv", ["heard", "kernel"], ["conv"], {"pads": [1, 1], "group": 1, "dilations": [1]}),
    ("ConvTranspose", ["conv", "kernel2"], ["wide"], {"strides": [2], "group": 2}),
    ("MaxPool", ["wide"], ["pooled"], {"kernel_shape": [2], "strides": [2]}),
    ("AveragePool", ["wide"], ["averaged"], {"kernel_shape": [3], "pads": [1, 1]}),
    ("BatchNormalization", ["conv", "ones4", "ones4", "ones4", "ones4"], ["batch"], {}),
    ("InstanceNormalization", ["conv", "ones4", "ones4"], ["instance"], {}),
    ("LayerNormalization", ["heard", "ones33"], ["layer"], {"axis": -1}),
    ("LpNormalization", ["conv"], ["lp"], {"axis": 1, "p": 2}),
    ("Softmax", ["layer"], ["soft"], {"axis": -1}),
    ("TopK", ["soft", "four"], ["top", "where"], {}),
    ("Gather", ["soft", "places"], ["gathered"], {"axis": 2}),
    ("GatherElements", ["soft", "where"], ["elements"], {"axis": 2}),
    ("Slice", ["soft", "zero", "thirty", "two", "two"], ["sliced"], {}),
    ("Pad", ["sliced", "pads"], ["padded"], {"mode": "reflect"}),
    ("Resize", ["padded", "", "scales"], ["resized"], {"mode": "linear"}),
    ("CumSum", ["soft", "two0"], ["summed"], {}),
    ("ReduceLogSumExp", ["heard", "two"], ["reduced"], {"keepdims": 0}),
    ("ArgMax", ["heard"], ["argmax"], {"axis": 2}),
    ("Cast", ["argmax"], ["cast"], {"to": FLOAT}),
    ("Transpose", ["heard"], ["steps"], {"perm": [2, 0, 1]}),
    ("GRU", ["steps", "gru_w", "gru_r"], ["gru"], {"hidden_size": 4}),
    ("LSTM", ["steps", "lstm_w", "lstm_r"], ["lstm"], {"hidden_size": 4}),
    ("Einsum", ["heard", "soft"], ["einsum"], {"equation": "bij,bkj->bik"}),
    ("Shape", ["heard"], ["shape"], {}),
    ("Expand", ["one", "shape"], ["expanded"], {}),
    ("Reshape", ["heard", "flat"], ["reshaped"], {}),
    ("Split", ["heard"], ["left", "right"], {"axis": 1, "num_outputs": 2}),
    ("Concat", ["right", "left"], ["swapped"], {"axis": 1}),
    ("Tile", ["left", "tiles"], ["tiled"], {}),
    ("Unsqueeze", ["heard", "zero"], ["unsqueezed"], {}),
    ("SpaceToDepth", ["square"], ["deep"], {"blocksize": 2}),
    ("DepthToSpace", ["deep"], ["space"], {"blocksize": 2}),
    ("Trilu", ["heard"], ["triangle"], {"upper": 1}),
    ("ScatterElements", ["heard", "where", "top"], ["scattered"], {"axis": 2}),
    ("Greater", ["heard", "one"], ["loud"], {}),
    ("Where", ["loud", "heard", "one"], ["chosen"], {}),
    ("Clip", ["heard", "", "one"], ["clipped"], {}),
    ("DynamicQuantizeLinear", ["heard"], ["bytes", "scale", "point"], {}),
    ("DequantizeLinear", ["bytes", "scale", "point"], ["unquantised"], {}),
    ("Gelu", ["heard"], ["gelu"], {}),
    ("PRelu", ["heard", "one"], ["prelu"], {}),
]
_ENDED_BY = """
pooled averaged batch instance lp gathered elements resized summed reduced cast gru lstm einsum
expanded reshaped swapped tiled unsqueezed space triangle scattered chosen clipped unquantised gelu
prelu
"""
_ENDS = _ENDED_BY.split()


def weights() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {
        "kernel": (4, 2, 3),
        "kernel2": (4, 1, 2),
        "gru_w": (1, 12, 2),
        "gru_r": (1, 12, 4),
        "lstm_w": (1, 16, 2),
        "lstm_r": (1, 16, 4),
        "square": (1, 1, 4, 4),
    }
    lists = {
        "four": [4],
        "places": [0, 3, 5],
        "zero": [0],
        "thirty": [30],
        "two": [2],
        "two0": 2,
        "pads": [0, 0, 1, 0, 0, 1],
        "flat": [-1, 66],
        "tiles": [1, 2, 1],
    }
    reals = {
        "no": 0.0,
        "ones4": np.ones(4),
        "ones33": np.ones(33),
        "one": 1.0,
        "scales": [1, 1, 1.5],
    }
    return (
        {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        | {name: np.array(values, np.int64) for name, values in lists.items()}
        | {name: np.array(values, np.float32) for name, values in reals.items()}
    )


def branches() -> list[Any]:
    """Nodes from `heard` to `nothing`, a scalar 0 that depends on them all."""
    nodes = [helper.make_node(op, i, o, name=o[0], **a) for op, i, o, a in _BRANCHES]
    nodes += [helper.make_node("ReduceSum", [e], [f"{e}_sum"], keepdims=0) for e in _ENDS]
    nodes.append(helper.make_node("Sum", [f"{end}_sum" for end in _ENDS], ["all"]))
    nodes.append(helper.make_node("Clip", ["all", "no", "no"], ["nothing"]))
    return nodes


def model(
    nodes: list[Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    constants: dict[str, Any],
    opset: int = 20,
) -> onnx.ModelProto:
    taken, given = (
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in values.items()]
        for values in (inputs, outputs)
    )
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", taken, given, initializers)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def edit(rng: random.Random, model: onnx.ModelProto) -> None:
    """One to four changes that leave `model` something that can be written."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if model.graph.node:  # the last one may be gone
            rng.choice(_EDITS)(rng, model)


def _number(rng: random.Random) -> int:
    return rng.choice(rng.choice((SMALL, SIGNED)))


def _operator(rng: random.Random, model: onnx.ModelProto) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(sorted(OPERATORS))


def _attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    node = rng.choice(model.graph.node)
    schema = onnx.defs.get_schema(node.op_type) if onnx.defs.has(node.op_type) else None
    known = {attribute.name: attribute for attribute in node.attribute}
    names = sorted({*known, *(schema.attributes if schema else ())})
    if not names:
        return
    name = rng.choice(names)
    if name in known:
        node.attribute.remove(known[name])
        if rng.random() < 0.1:
            return
    old = onnx.helper.get_attribute_value(known[name]) if name in known else None
    node.attribute.append(helper.make_attribute(name, _value(rng, old)))


def _value(rng: random.Random, old: Any) -> Any:
    """Another value of the kind of `old`, mostly."""
    if isinstance(old, int) and rng.random() < 0.8:
        return _number(rng)
    if isinstance(old, list) and old and isinstance(old[0], int) and rng.random() < 0.8:
        changed = [*old, _number(rng)] if rng.random() < 0.2 else [*old]
        changed[rng.randrange(len(changed))] = _number(rng)
        return changed[: len(old)] if rng.random() < 0.9 else changed[:1]
    texts = ("", "edge", "wrap", "cubic", "bidirectional", "SAME_UPPER", "VALID", "max", "ij->ji")
    odd = (
        "...i->i",
        "ij,jk,kl->il",
        "ii->i",
        "pytorch_half_pixel",
        "tf_crop_and_resize",
        "\n" * 300,
    )
    return rng.choice(
        (
            _number(rng),
            [_number(rng) for _ in range(rng.randrange(1, 5))],
            rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf"))),
            rng.choice(texts),
            rng.choice(odd),
            [rng.choice(("Tanh", "Relu", "Affine", "nothing"))] * rng.randrange(1, 4),
        )
    )


def _wires(rng: random.Random, model: onnx.ModelProto) -> None:
    """Other inputs of a node: such as come before it, mostly; or fewer, or more; or outputs."""
    at = rng.randrange(len(model.graph.node))
    node = model.graph.node[at]
    before = [*model.graph.node][: at if rng.random() < 0.9 else None]
    names = [i.name for i in (*model.graph.input, *model.graph.initializer)]
    names += [name for other in before for name in other.output]
    ends = rng.choice((node.input, node.input, node.input, node.input, node.output))
    if ends and rng.random() < 0.7:
        ends[rng.randrange(len(ends))] = rng.choice([*names, ""])
    elif ends and rng.random() < 0.5:
        del ends[rng.randrange(len(ends))]
    else:
        ends.append(rng.choice(names))


def _order(rng: random.Random, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    at = rng.randrange(len(nodes))
    moved = nodes.pop(at)
    for _ in range(rng.choice((0, 1, 2))):
        nodes.insert(rng.randrange(len(nodes) + 1), moved)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _weights(rng: random.Random, model: onnx.ModelProto) -> None:
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    match rng.randrange(7):
        case 0 if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = _number(rng)
        case 1:
            tensor.data_type = rng.randrange(25)
        case 2:
            tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
        case 3:
            model.graph.initializer.remove(tensor)
        case 4:
            tensor.dims.append(_number(rng))
        case _:  # whole numbers are shapes, axes and places; reals become what they may
            width = 8 if tensor.data_type == onnx.TensorProto.INT64 else 4
            changed = bytearray(tensor.raw_data)
            if len(changed) >= width:
                at = width * rng.randrange(len(changed) // width)
                number = _number(rng) % (1 << 8 * width)
                changed[at : at + width] = number.to_bytes(width, "little")
            tensor.raw_data = bytes(changed)


def _declared(rng: random.Random, model: onnx.ModelProto) -> None:
    info = rng.choice([*model.graph.input, *model.graph.output])
    dims = info.type.tensor_type.shape.dim
    match rng.randrange(5):
        case 0 if dims:
            rng.choice(dims).dim_value = _number(rng)
        case 1 if dims:
            rng.choice(dims).dim_param = rng.choice(("B", "Q", "x", "", "\x1b[2J"))
        case 2:
            info.type.tensor_type.elem_type = rng.randrange(25)
        case 3:
            info.name = rng.choice(("", "state", "stems", "\n"))
        case _:
            dims.add().dim_value = _number(rng)


def _model(rng: random.Random, model: onnx.ModelProto) -> None:
    match rng.randrange(5):
        case 0:
            model.ir_version = _number(rng)
        case 1:
            model.opset_import[0].version = rng.choice((17, 18, 19, 21, 22, 23, 24, _number(rng)))
        case 2:
            model.opset_import.add(domain="com.microsoft", version=1)
            rng.choice(model.graph.node).domain = "com.microsoft"
        case 3:
            rng.choice(model.graph.node).attribute.append(
                helper.make_attribute("body", helper.make_graph([], "g", [], []))
            )
        case _:
            if model.graph.initializer:
                tensor = rng.choice(model.graph.initializer)
                tensor.data_location = onnx.TensorProto.EXTERNAL
                tensor.external_data.add(key="location", value="/etc/hostname")


_EDITS: tuple[Callable[[random.Random, onnx.ModelProto], None], ...] = (
    *(_operator, _operator, _attribute, _attribute, _attribute, _wires, _wires, _order),
    *(_weights, _weights, _weights, _declared, _model),
)
