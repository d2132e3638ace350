"""A sentence encoder of sentence-transformers as one small ONNX file with its tokenizer inside.

The network is BERT (Devlin et al. 2019), distilled (MiniLM, Wang et al. 2020) and trained to put
sentences of like meaning side by side; its sentence is the mean over its tokens (Reimers and
Gurevych 2019). It is written down here operator by operator, from the weights alone: no torch, and
nothing in the graph that is not needed.

Weights are stored as int8 and multiplied out to float32 where they are used, so computing loses
nothing. Each column of a matrix has a scale for every 32 of its rows: with one scale a column the
rounding is three times as large, for 5 % less space.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
"""The first in which ``DequantizeLinear`` knows blocks; onnxruntime runs it from 1.20 on."""

BLOCK = 32
"""Rows of a matrix that share a scale."""

Floats = NDArray[np.float32]


def sentence_encoder(folder: Path, name: str) -> onnx.ModelProto:
    """Builds the encoder that ``runtime.sentence_encoder`` runs.

    Args:
        folder: a model of sentence-transformers on disk: ``config.json``, ``tokenizer.json``,
            ``sentence_bert_config.json`` and ``model.safetensors``.
        name: what bundles call the encoder.

    Returns:
        A model with inputs ``ids`` and ``mask``, both ``[N, L]`` int64, and the output
        ``embedding`` ``[N, E]`` float32, each row of Euclidean length 1.

    Raises:
        ValueError: the folder holds another architecture.
        OSError: a file is missing.
    """
    from safetensors.numpy import load_file  # here, since only this needs it

    config = _read(folder / "config.json")
    found = config["model_type"], config["hidden_act"]
    if found != ("bert", "gelu"):
        raise ValueError(f"{folder} holds a network {found}, expected ('bert', 'gelu')")
    tokens: int = _read(folder / "sentence_bert_config.json")["max_seq_length"]
    weights_file = folder / "model.safetensors"
    model = _Bert(load_file(weights_file), config, tokens).model()
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    metadata = {
        "soloist.encoder": name,
        "soloist.tokenizer": _tokenizer(folder, tokens),
        "source": f"model.safetensors, SHA-256 {digest}",
    }
    helper.set_model_props(model, metadata)
    return model


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def _tokenizer(folder: Path, tokens: int) -> str:
    """The tokenizer's own file, set to cut texts where the network was trained to; padding is the
    caller's."""
    content = _read(folder / "tokenizer.json")
    content["truncation"] = {**content["truncation"], "max_length": tokens}
    content["padding"] = None
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


class _Bert:
    """The graph under construction; every method appends nodes and names what they give."""

    def __init__(self, weights: dict[str, Floats], config: dict[str, Any], tokens: int) -> None:
        self.weights = weights
        self.config = config
        self.tokens = tokens
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        hidden = self._embedded()
        keys = self._node("Unsqueeze", self._mask(), self._constant("key_axes", np.array([1, 2])))
        # What is added to a score: nothing, or so much that padding gets no share.
        padding = self._node("Mul", self._node("Sub", keys, self._scalar(1.0)), self._scalar(1e9))
        for layer in range(self.config["num_hidden_layers"]):
            hidden = self._layer(hidden, padding, f"encoder.layer.{layer}")
        self._node("LpNormalization", self._mean(hidden), output="embedding", axis=-1, p=2)
        rows, width = ["N", "L"], self.config["hidden_size"]
        graph = helper.make_graph(
            self.nodes,
            "sentence_encoder",
            [helper.make_tensor_value_info(n, TensorProto.INT64, rows) for n in ("ids", "mask")],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", width])],
            list(self.constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=10)

    def _embedded(self) -> str:
        """Word, place and kind of text, summed; ``[N, L, width]``. Words are int8, a scale each."""
        words, scales = _quantised(self.weights["embeddings.word_embeddings.weight"], axis=1)
        picked = self._node("Gather", self._constant("words", words), "ids")
        scale = self._node("Gather", self._constant("word_scales", scales), "ids")
        word = self._node("Mul", self._node("Cast", picked, to=TensorProto.FLOAT), scale)
        # There is only one text, so what marks the first of two is part of every place.
        places = self.weights["embeddings.position_embeddings.weight"][: self.tokens]
        places = places + self.weights["embeddings.token_type_embeddings.weight"][0]
        length = self._node("Shape", "ids", start=1, end=2)
        first = self._constant("first", np.array([0]))
        place = self._node("Slice", self._constant("places", places), first, length)
        return self._norm(self._node("Add", word, place), "embeddings.LayerNorm")

    def _layer(self, hidden: str, padding: str, name: str) -> str:
        heard = self._attention(hidden, padding, f"{name}.attention.self")
        heard = self._linear(heard, f"{name}.attention.output.dense")
        hidden = self._norm(self._node("Add", hidden, heard), f"{name}.attention.output.LayerNorm")
        wide = self._node("Gelu", self._linear(hidden, f"{name}.intermediate.dense"))
        changed = self._linear(wide, f"{name}.output.dense")
        return self._norm(self._node("Add", hidden, changed), f"{name}.output.LayerNorm")

    def _attention(self, hidden: str, padding: str, name: str) -> str:
        heads, width = self.config["num_attention_heads"], self.config["hidden_size"]
        split = self._constant("split", np.array([0, 0, heads, width // heads]))
        query, key, value = (
            self._node(
                "Transpose",
                self._node("Reshape", self._linear(hidden, f"{name}.{part}"), split),
                perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3],
            )
            for part in ("query", "key", "value")
        )
        score = self._node("MatMul", query, key)
        score = self._node("Mul", score, self._scalar((width // heads) ** -0.5))
        share = self._node("Softmax", self._node("Add", score, padding), axis=-1)
        mixed = self._node("Transpose", self._node("MatMul", share, value), perm=[0, 2, 1, 3])
        return self._node("Reshape", mixed, self._constant("join", np.array([0, 0, width])))

    def _mean(self, hidden: str) -> str:
        """Mean over the tokens that are no padding."""
        counted = self._node("Unsqueeze", self._mask(), self._constant("last", np.array([-1])))
        axis = self._constant("tokens", np.array([1]))
        total = self._node("ReduceSum", self._node("Mul", hidden, counted), axis, keepdims=0)
        return self._node("Div", total, self._node("ReduceSum", counted, axis, keepdims=0))

    def _mask(self) -> str:
        return self._node("Cast", "mask", to=TensorProto.FLOAT)

    def _linear(self, x: str, name: str) -> str:
        matrix = self.weights[f"{name}.weight"].T
        rows, columns = matrix.shape
        numbers, scales = _quantised(matrix.reshape(-1, BLOCK, columns), axis=1)
        weight = self._node(
            "DequantizeLinear",
            self._constant(f"{name}.weight", numbers.reshape(rows, columns)),
            self._constant(f"{name}.scale", scales[:, 0]),
            axis=0,
            block_size=BLOCK,
        )
        bias = self._constant(f"{name}.bias", self.weights[f"{name}.bias"])
        return self._node("Add", self._node("MatMul", x, weight), bias)

    def _norm(self, x: str, name: str) -> str:
        parts = [self._constant(f"{name}.{p}", self.weights[f"{name}.{p}"]) for p in _NORM]
        return self._node("LayerNormalization", x, *parts, epsilon=self.config["layer_norm_eps"])

    def _scalar(self, value: float) -> str:
        return self._constant(f"{value:g}", np.float32(value))

    def _constant(self, name: str, value: NDArray[Any] | np.float32) -> str:
        """The constant of that name; one that is there already is the same one."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _node(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output


_NORM = ("weight", "bias")


def _quantised(values: Floats, axis: int) -> tuple[NDArray[np.int8], Floats]:
    """Whole numbers within ±127 and, for all along ``axis``, the scale that brings them back."""
    scales = np.abs(values).max(axis=axis, keepdims=True) / np.float32(127)
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)
