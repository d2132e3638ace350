"""Bundles: seeds of both kinds, damage to the file, the graph, the JSON and what is carried."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...runtime.bundle import Bundle
from ...runtime.listener import Hearing, Opposition
from ...runtime.queries import conditioning_for
from ...runtime.schedule import Schedule
from ...runtime.spec import Frames, Query, Spec
from ...runtime.vocabulary import Vocabulary
from ...streaming.processor import Processor
from . import graphs
from .mutations import INTERESTING, damage

SUFFIX = ".onnx"
_BINS, _STATE, _FEATURES, _EMBEDDING = 33, 8, 8, 6
_WORDS = ("dog", "rain")
_CARRIED = ("soloist.conditioner", "soloist.listener")
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 0.5, 1e300, "", "x", "\x1b[2J", "\n", "é" * 300, [], {}, [[[]]]),
    *(float("nan"), float("inf"), 10**400, *INTERESTING),
)


@cache
def seeds() -> tuple[bytes, ...]:
    """Good files: a streaming and a windowed bundle, small, with all that a bundle can carry."""
    return _streaming().SerializeToString(), _windowed().SerializeToString()


def mutate(rng: random.Random) -> bytes:
    content = rng.choice(seeds())
    if rng.random() < 0.15:
        return damage(rng, content, seeds())
    model = onnx.load_from_string(content)
    rng.choice((*[_edit_graph] * 5, _edit_json, _edit_carried))(rng, model)
    content = model.SerializeToString()
    return damage(rng, content, seeds()) if rng.random() < 0.05 else content


def use(path: Path) -> None:
    """Open and play a bundle as `soloist separate`, `info` and `queries` would."""
    bundle = Bundle.open(path)
    assert bundle.card is None or bundle.card.isprintable() or "\n" in bundle.card
    vocabulary = bundle.vocabulary
    conditioning = None
    if vocabulary is not None and vocabulary.phrases:
        vocabulary.nearest("some other words")
        vocabulary.nearest(vocabulary.phrases[0])
        if bundle.conditioner is not None:
            conditioning = conditioning_for(bundle, [vocabulary.phrases[0]])
    processor = Processor(bundle, device="cpu", conditioning=conditioning)
    processor.prepare(bundle.spec.sample_rate, 4096, 2)
    audio = np.random.default_rng(0).uniform(-1, 1, (2000, 2)).astype(np.float32)
    out = np.empty_like(audio)
    for _ in range(2):
        processor.process(audio, out)
        assert np.isfinite(out).all(), "the output is not finite"
    processor.reset()
    processor.release()


def _edit_graph(rng: random.Random, model: onnx.ModelProto) -> None:
    graphs.edit(rng, model)


def _edit_json(rng: random.Random, model: onnx.ModelProto) -> None:
    entries = [entry for entry in model.metadata_props if entry.value.startswith("{")]
    entry = rng.choice(entries)
    if rng.random() < 0.3:
        entry.value = damage(rng, entry.value.encode(), [b"[" * 5000]).decode(errors="replace")
        return
    tree = json.loads(entry.value)
    for _ in range(rng.choice((1, 1, 2))):
        _edit_tree(rng, tree)
    entry.value = json.dumps(tree)


def _edit_tree(rng: random.Random, tree: Any) -> None:
    """Change, remove or add one value somewhere in a JSON tree."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not keys or rng.random() < 0.05:
        if isinstance(tree, dict):
            tree[rng.choice(("format", "extra", "\x00", "frames"))] = _odd(rng)
        else:
            tree.append(_odd(rng))
        return
    key = rng.choice(keys)
    if isinstance(tree[key], dict | list) and rng.random() < 0.8:
        _edit_tree(rng, tree[key])
    elif rng.random() < 0.1:
        del tree[key]
    elif isinstance(tree[key], int) and rng.random() < 0.7:
        tree[key] += rng.choice((-1, 1, 2, 16, -16, 1 << 20))
    else:
        tree[key] = _odd(rng)


def _odd(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(_ODD))  # or a list would be put into itself


def _edit_carried(rng: random.Random, model: onnx.ModelProto) -> None:
    """Change the conditioner, or the listener: its graph, or what it says about itself."""
    entry = rng.choice([e for e in model.metadata_props if e.key in _CARRIED])
    inner = onnx.load_from_string(base64.b64decode(entry.value))
    if inner.metadata_props and rng.random() < 0.5:
        _edit_json(rng, inner)
    else:
        graphs.edit(rng, inner)
    entry.value = base64.b64encode(inner.SerializeToString()).decode()
    if rng.random() < 0.1:
        entry.value = damage(rng, entry.value.encode(), [b"===="]).decode(errors="replace")


def _streaming() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Transpose", ["spectrum"], ["heard"], perm=[0, 2, 1]),
        *graphs.branches(),
        helper.make_node("ReduceMean", ["spectrum", "last"], ["level"], keepdims=0),
        helper.make_node("MatMul", ["level", "pool"], ["energy"]),
        helper.make_node("Mul", ["state", "half"], ["faded"]),
        helper.make_node("Add", ["faded", "energy"], ["next_state"]),
        helper.make_node("Unsqueeze", ["next_state", "axis1"], ["memory"]),
        helper.make_node("Mul", ["memory", "conditioning"], ["gated"]),
        helper.make_node("MatMul", ["gated", "spread"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["flat_mask"]),
        helper.make_node("Unsqueeze", ["flat_mask", "last"], ["mask"]),
        helper.make_node("Unsqueeze", ["spectrum", "axis1"], ["mixture"]),
        helper.make_node("Mul", ["mask", "mixture"], ["clean"]),
        helper.make_node("Add", ["clean", "nothing"], ["stems"]),
    ]
    rng = np.random.default_rng(1)
    constants = graphs.weights() | {
        "last": np.array([-1]),
        "axis1": np.array([1]),
        "half": np.array(0.5, np.float32),
        "pool": rng.standard_normal((_BINS, _STATE)).astype(np.float32),
        "spread": rng.standard_normal((_STATE, _BINS)).astype(np.float32),
        "conditioning": np.ones((2, _FEATURES), np.float32),
    }
    model = graphs.model(
        nodes,
        {
            "spectrum": ["B", _BINS, 2],
            "conditioning": ["Q", _FEATURES],
            "state": ["B", _STATE],
        },
        {"stems": ["B", "Q", _BINS, 2], "next_state": ["B", _STATE]},
        constants,
    )
    return _with_metadata(model, _SPEC)


def _windowed() -> onnx.ModelProto:
    frames = Frames(64, 16, "hann", "hann-istft", "zeros")
    schedule = Schedule(
        frames=frames,
        window_samples=500,
        emitted=20,
        baked=2,
        crossfade=2,
        advance=5,
        lookahead=2,
        compute=5,
    )
    spec = replace(
        _SPEC,
        kind="windowed",
        frames=frames,
        latency_samples=schedule.latency_samples,
        window_samples=500,
        window_frames=32,
        emitted_frames=20,
        lookahead_frames=2,
        advance_frames=5,
        crossfade_frames=2,
        fill="zeros",
    )
    nodes = [
        helper.make_node("ReduceMean", ["spectrogram", "axis2"], ["mean"], keepdims=0),
        helper.make_node("Transpose", ["mean"], ["heard"], perm=[0, 2, 1]),
        *graphs.branches(),
        helper.make_node("ReduceL2", ["spectrogram", "last"], ["magnitude"], keepdims=0),
        helper.make_node("MatMul", ["magnitude", "mix"], ["mixed"]),
        helper.make_node("Unsqueeze", ["mixed", "axis1"], ["wide_mask"]),
        helper.make_node("ReduceMean", ["conditioning", "axis1"], ["gate"], keepdims=1),
        helper.make_node("Unsqueeze", ["gate", "last"], ["gates"]),
        helper.make_node("Mul", ["wide_mask", "gates"], ["gated"]),
        helper.make_node("Add", ["gated", "nothing"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["flat_mask"]),
        helper.make_node("Unsqueeze", ["flat_mask", "last"], ["masks"]),
    ]
    constants = graphs.weights() | {
        "last": np.array([-1]),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "mix": np.full((32, 20), 0.03, np.float32),
        "conditioning": np.ones((2, _FEATURES), np.float32),
    }
    inputs = {"spectrogram": ["B", _BINS, 32, 2], "conditioning": ["Q", _FEATURES]}
    model = graphs.model(nodes, inputs, {"masks": ["B", "Q", _BINS, 20, 1]}, constants)
    return _with_metadata(model, spec)


_SPEC = Spec(
    name="seed",
    architecture="many operators",
    version="1",
    license="MIT",
    created_with="tools/fuzz",
    checkpoint_sha256=hashlib.sha256(b"seed").hexdigest(),
    training={"steps": [1, 2, 3], "data": {"clips": 2}},
    kind="streaming",
    sample_rate=48_000,
    frames=Frames(64, 16),
    queries=tuple(
        Query(word, (word,), (), "toy", hashlib.sha256(word.encode()).hexdigest())
        for word in _WORDS
    ),
    residual=True,
    latency_samples=32,
    parity={"max_abs": 1e-6},
)


def _with_metadata(model: onnx.ModelProto, spec: Spec) -> onnx.ModelProto:
    vocabulary = Vocabulary("toy", _WORDS, np.eye(2, _EMBEDDING), {"all": _WORDS})
    nodes = [helper.make_node("Gemm", ["embedding", "matrix"], ["conditioning"], alpha=0.5)]
    conditioner = graphs.model(
        nodes,
        {"embedding": ["N", _EMBEDDING]},
        {"conditioning": ["N", _FEATURES]},
        {"matrix": np.ones((_EMBEDDING, _FEATURES), np.float32)},
    )
    metadata = {
        "soloist": spec.to_json(),
        "soloist.vocabulary": vocabulary.to_json(),
        "soloist.conditioner": base64.b64encode(conditioner.SerializeToString()).decode(),
        "soloist.listener": base64.b64encode(_listener().SerializeToString()).decode(),
        "soloist.card": "# Seed\n",
    }
    helper.set_model_props(model, metadata)
    return model


def _listener() -> onnx.ModelProto:
    nodes = [
        helper.make_node("ReduceMean", ["magnitudes", "axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["presence"]),
    ]
    constants = {"axis": np.array([1]), "matrix": np.full((_BINS, 1), -0.01, np.float32)}
    model = graphs.model(nodes, {"magnitudes": [1, 8, _BINS]}, {"presence": [1, 1]}, constants)
    opposition = Opposition(
        share=0.5, bias=-0.2, lift=0.1, usual=-2.0, unlike=0.5, same=0.8, memory_s=1.0, offsets=2
    )
    hearing = Hearing(
        window=64,
        hop=32,
        n_fft=64,
        classes=("all",),
        every_s=0.01,
        budget_s=0.002,
        opposition=opposition,
    )
    helper.set_model_props(model, {"soloist.hearing": hearing.to_json()})
    return model
