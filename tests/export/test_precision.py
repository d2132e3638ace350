"""Weights in int8: what is stored, what is left alone, and what is computed from it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from soloist.export.precision import BLOCK, to_int8

Floats = NDArray[np.float32]

ROWS, COLUMNS = 320, 256


def matrix(rows: int = ROWS, columns: int = COLUMNS) -> Floats:
    """Columns of very different size, as trained ones are, and one of zeros."""
    rng = np.random.default_rng(rows + columns)
    loudness = 10 ** rng.uniform(-3, 1, columns)
    loudness[3] = 0.0
    weights: Floats = (rng.standard_normal((rows, columns)) * loudness).astype(np.float32)
    return weights


def product(weight: Floats, operator: str = "MatMul", **options: Any) -> onnx.ModelProto:
    """A graph y = x @ weight, or for "Gemm" x @ weight + 1."""
    rows, columns = weight.shape[::-1] if options.get("transB") else weight.shape
    inputs = ["x", "w"] if operator == "MatMul" else ["x", "w", "b"]
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **options)],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", columns])],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.ones(columns, np.float32), "b"),
        ],
    )
    opset = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


def play(model: onnx.ModelProto, x: Floats, *, unfold: bool, saved: Path | None = None) -> Floats:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if unfold:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if saved:
        options.optimized_model_filepath = str(saved)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: Floats = session.run(None, {"x": x})[0]
    return found


def by_hand(weight: Floats) -> NDArray[np.float64]:
    """Each block of a column rounded to 127 steps of its largest number, in double precision."""
    rounded = weight.astype(np.float64)
    for column in rounded.T:
        for start in range(0, len(column), BLOCK):
            block = column[start : start + BLOCK]
            step = np.abs(block).max() / 127
            if step:
                block[:] = np.round(block / step) * step
    return rounded


@pytest.mark.parametrize(
    ("operator", "options"), [("MatMul", {}), ("Gemm", {}), ("Gemm", {"transB": 1})]
)
def test_the_product_is_that_of_the_rounded_weights(operator: str, options: dict[str, int]) -> None:
    weight = matrix()
    model = product(weight.T.copy() if options else weight, operator, **options)
    assert to_int8(model) == 1
    onnx.checker.check_model(model, full_check=True)
    x = np.random.default_rng(0).standard_normal((3, ROWS)).astype(np.float32)
    expected = x.astype(np.float64) @ by_hand(weight) + (operator == "Gemm")
    error = np.abs(play(model, x, unfold=True) - expected)
    assert (error <= 1e-4 * np.abs(weight).max(axis=0)).all()
    # The quick way rounds x, too: by half of a 127th of its block's largest number, at most.
    largest = np.abs(x.reshape(3, -1, BLOCK)).max(axis=2)
    block_sums = np.abs(by_hand(weight)).reshape(-1, BLOCK, COLUMNS).sum(axis=1)
    error = np.abs(play(model, x, unfold=False) - expected)
    assert (error <= largest / 254 @ block_sums + 1e-4).all()


def test_a_quarter_of_the_bytes() -> None:
    weight = matrix()
    model = product(weight)
    before = model.ByteSize()
    to_int8(model)
    scales = weight.nbytes // BLOCK
    assert model.ByteSize() <= before - weight.nbytes * 3 // 4 + scales + 500


def test_onnxruntime_keeps_the_weights_in_int8(tmp_path: Path) -> None:
    model = product(matrix(), "Gemm")
    to_int8(model)
    x = np.zeros((1, ROWS), np.float32)
    play(model, x, unfold=False, saved=tmp_path / "cpu.onnx")
    operators = [node.op_type for node in onnx.load(tmp_path / "cpu.onnx").graph.node]
    assert operators == ["MatMulNBits"]


@pytest.mark.parametrize(
    "model",
    [
        product(matrix(64, 64)),
        product(matrix(ROWS + 1)),
        product(matrix(), "Gemm", alpha=2.0),
        product(matrix(), "Gemm", beta=0.5),
    ],
    ids=["small", "no whole blocks", "alpha", "beta"],
)
def test_others_are_left_alone(model: onnx.ModelProto) -> None:
    before = list(model.graph.node)
    assert to_int8(model) == 0
    assert list(model.graph.node) == before
    assert all(tensor.data_type == TensorProto.FLOAT for tensor in model.graph.initializer)
