"""Conditioners of one operator each, of any that is admitted, with inputs and attributes at random.

Where `bundles` damages what a network would hold, this looks for kernels of onnxruntime that fall
over what they are given.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.defs import OpSchema

from ...runtime.conditioner import Conditioner
from ...runtime.operators import OPERATORS
from . import graphs

SUFFIX = ".onnx"
_KINDS: dict[Any, str] = {
    np.float32: "tensor(float)",
    np.int64: "tensor(int64)",
    np.int32: "tensor(int32)",
    np.bool_: "tensor(bool)",
    np.uint8: "tensor(uint8)",
    np.int8: "tensor(int8)",
    np.float16: "tensor(float16)",
    np.float64: "tensor(double)",
}
_TEXTS = {
    "mode": ("constant", "reflect", "edge", "wrap", "nearest", "linear", "cubic", "DCR", "CRD"),
    "auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
    "direction": ("forward", "reverse", "bidirectional"),
    "equation": ("ij,ij->ij", "ii->i", "ij->", "...ij->...ji", "i,j->ij", "ij,jk", "a b -> c"),
    "reduction": ("none", "add", "mul", "max", "min"),
    "coordinate_transformation_mode": ("half_pixel", "align_corners", "tf_crop_and_resize"),
    "approximate": ("none", "tanh"),
    "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
}
_NUMBERS = (0, 1, 2, 3, -1, -2, 4, 5, 7, 8, 16, 33)


def seeds() -> None:
    """None: each case is made from nothing."""


def mutate(rng: random.Random) -> bytes:
    opset = rng.choice((17, 18, 19, 20, 21, 22))
    known = [operator for operator in sorted(OPERATORS) if onnx.defs.has(operator, opset)]
    schema = onnx.defs.get_schema(rng.choice(known), opset)
    constants: dict[str, Any] = {}
    least, most = schema.min_input, schema.max_input
    inputs = []
    kinds: dict[str, Any] = {}  # inputs that must be of one type are
    for index in range(rng.randint(least, min(most, least + 3))):
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        kind = kinds.setdefault(formal.type_str, _kind(rng, formal.types))
        if rng.random() < (0.6 if index == 0 else 0.15):
            inputs.append("embedding")
        elif rng.random() < 0.05:
            inputs.append("")
        else:
            constants[f"c{index}"] = _array(rng, kind)
            inputs.append(f"c{index}")
    least, most = schema.min_output, schema.max_output
    outputs = [f"o{index}" for index in range(rng.randint(least, min(most, least + 2)))]
    node = helper.make_node(schema.name, inputs, outputs)
    for name, attribute in schema.attributes.items():
        if attribute.required or rng.random() < 0.4:
            node.attribute.append(_attribute(rng, name, attribute))
    nodes = [node]
    for name in outputs:
        nodes.append(helper.make_node("Cast", [name], [f"{name}_real"], to=graphs.FLOAT))
        nodes.append(helper.make_node("ReduceMax", [f"{name}_real"], [f"{name}_sum"], keepdims=0))
    nodes.append(helper.make_node("Sum", ["embedding", *(f"{o}_sum" for o in outputs)], ["sums"]))
    nodes.append(helper.make_node("Clip", ["sums", "no", "no"], ["conditioning"]))
    constants["no"] = np.array(0.0, np.float32)
    shape = {"embedding": ["N", 4]}, {"conditioning": ["N", 4]}
    return bytes(graphs.model(nodes, *shape, constants, opset).SerializeToString())


def use(path: Path) -> None:
    conditioner = Conditioner(path.read_bytes())
    for rows in (1, 3):
        conditioner(np.linspace(-1, 1, 4 * rows, dtype=np.float32).reshape(rows, 4))


def _kind(rng: random.Random, types: set[str]) -> Any:
    """One of the types that an operator takes: float32 where it may, most often; rarely another."""
    fitting = [kind for kind, name in _KINDS.items() if name in types]
    if np.float32 in fitting and rng.random() < 0.7:
        return np.float32
    return rng.choice(fitting if fitting and rng.random() < 0.95 else [*_KINDS])


def _array(rng: random.Random, kind: Any) -> Any:
    shape = [rng.choice((1, 2, 3, 4, 4, 5, 0)) for _ in range(rng.randrange(5))]
    size = int(np.prod(shape))
    if kind in (np.int64, np.int32, np.int8):
        values = [rng.choice(_NUMBERS) for _ in range(size)]
        if size and rng.random() < 0.3:
            values[rng.randrange(size)] = rng.choice(graphs.SIGNED)
        return np.array(values, np.int64).astype(kind).reshape(shape)
    return (
        np.array([rng.uniform(-2, 3) for _ in range(size)], np.float32).astype(kind).reshape(shape)
    )


def _attribute(rng: random.Random, name: str, schema: OpSchema.Attribute) -> onnx.AttributeProto:
    kinds = OpSchema.AttrType
    number = rng.choice(graphs.SIGNED if rng.random() < 0.15 else _NUMBERS)
    match schema.type:
        case kinds.INT:
            return helper.make_attribute(name, number)
        case kinds.INTS:
            several = [rng.choice(_NUMBERS) for _ in range(rng.randrange(1, 5))]
            return helper.make_attribute(name, [*several, number])
        case kinds.FLOAT:
            return helper.make_attribute(
                name, rng.choice((0.0, 1.0, -1.0, 0.5, 1e38, float("nan")))
            )
        case kinds.FLOATS:
            return helper.make_attribute(name, [rng.uniform(-2, 2) for _ in range(3)])
        case kinds.STRING:
            return helper.make_attribute(name, rng.choice(_TEXTS.get(name, ("", "x"))))
        case kinds.STRINGS:
            texts = [
                rng.choice(("Tanh", "Relu", "Sigmoid", "x")) for _ in range(rng.randrange(1, 4))
            ]
            return helper.make_attribute(name, texts)
        case _:
            return helper.make_attribute(
                name, numpy_helper.from_array(_array(rng, _kind(rng, set())), "")
            )
