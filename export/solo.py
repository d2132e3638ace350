"""A checkpoint of ``solo`` and some words into a bundle."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.errors import BundleError
from ..runtime.queries import check_words, open_encoder
from ..runtime.replacing import replacing
from ..runtime.spec import Frames, Precision, Query, Spec
from ..runtime.vocabulary import Vocabulary
from ..separators.checkpoints import Checkpoint, load_solo
from ..separators.encoders import load_encoder
from ..separators.solo import Solo
from .graph import conditioner_graph, hop_graph
from .listener import carried
from .parity import parity
from .precision import to_int8
from .solo_hop import SoloHop

OPPOSITION = 0.3
"""Chosen on the development mixtures, with the other sound's name and with a wrong one: see
``docs/solo-log.md``."""


def export_bundle(
    checkpoint: Path,
    queries: Sequence[str],
    output: Path,
    *,
    name: str = "solo",
    card: str | None = None,
    precision: Precision = "fp32",
    listener: Path | None = None,
) -> Spec:
    """Writes a streaming bundle with the queries baked in, and measures its parity.

    Args:
        checkpoint: what training wrote.
        queries: the words to separate by default, one stem each.
        output: the bundle; written whole or not at all.
        name: name of the bundle.
        card: model card, Markdown, to carry inside.
        precision: how the large weights are stored; see ``precision``.
        listener: checkpoint of a listener for it to carry, see :mod:`.listener`.

    Returns:
        The spec that the bundle carries.

    Raises:
        BundleError: the checkpoint cannot be read, or the bundle cannot be written.
        QueryError: empty or repeated words, or no text encoder.
    """
    try:
        trained = load_solo(checkpoint)
    except ValueError as error:
        raise BundleError(str(error)) from error
    check_words(queries)
    vocabulary = _vocabulary(trained, queries)
    rows = [vocabulary.find(words) for words in queries]
    embeddings = vocabulary.embeddings[[row for row in rows if row is not None]]
    spec = _spec(trained, name, queries, embeddings, precision, listener)
    with torch.no_grad():
        conditioning = trained.network.condition(torch.from_numpy(embeddings)).numpy()
    hop = SoloHop(trained.network)
    model = hop_graph(hop, spec.frames.bins, hop.state_size, conditioning)
    if precision == "int8":
        to_int8(model)
    extras = {
        "soloist.vocabulary": vocabulary.to_json(),
        "soloist.conditioner": _conditioner(trained),
    }
    if listener is not None:
        extras["soloist.listener"] = carried(listener, trained)
    if card:
        extras["soloist.card"] = card
    with replacing(output, BundleError) as part:
        _save(model, {"soloist": spec.to_json(), **extras}, part)
        spec = replace(spec, parity=parity(trained.network, part, conditioning))
        _save(model, {"soloist": spec.to_json(), **extras}, part)
    return spec


class _Conditioner(nn.Module):
    def __init__(self, network: Solo) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor) -> Tensor:
        return self.network.condition(embedding)


def _conditioner(trained: Checkpoint[Solo]) -> str:
    graph = conditioner_graph(_Conditioner(trained.network), trained.network.config.embedding)
    return base64.b64encode(graph.SerializeToString()).decode()


def _vocabulary(trained: Checkpoint[Solo], queries: Sequence[str]) -> Vocabulary:
    """The phrases of training and the baked words, embedded and rounded as they are stored."""
    classes: dict[str, list[str]] = trained.facts["vocabulary"]
    phrases = sorted({*queries, *(phrase for members in classes.values() for phrase in members)})
    encoder = open_encoder(trained.facts["encoder"], load_encoder)
    wanted = trained.network.config.embedding
    if encoder.dimension != wanted:
        raise BundleError(
            f"the checkpoint takes embeddings of {wanted} numbers, its text encoder "
            f"{encoder.name} makes {encoder.dimension}; train it again"
        )
    embeddings = encoder.encode(phrases).astype(np.float16)
    return Vocabulary(encoder.name, phrases, embeddings, classes)


def _spec(
    trained: Checkpoint[Solo],
    name: str,
    queries: Sequence[str],
    embeddings: NDArray[np.float32],
    precision: Precision,
    listener: Path | None,
) -> Spec:
    config = trained.network.config
    baked = tuple(
        Query(words, (words,), (), trained.facts["encoder"], _digest(row))
        for words, row in zip(queries, embeddings, strict=True)
    )
    facts = {k: v for k, v in trained.facts.items() if k != "vocabulary"}
    return Spec(
        name=name,
        architecture="solo",
        version=version("soloist"),
        license="MIT" if listener is None else "MIT; its listener Apache-2.0, of YAMNet",
        created_with=f"soloist {version('soloist')}, torch {torch.__version__}",
        checkpoint_sha256=trained.sha256,
        training={**facts, "config": config.to_dict(), "curve": trained.curve},
        kind="streaming",
        sample_rate=config.sample_rate,
        frames=Frames(config.n_fft, config.hop),
        queries=baked,
        residual=True,
        latency_samples=2 * config.hop,
        precision=precision,
        opposition=OPPOSITION,
        parity={},
    )


def _digest(embedding: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(embedding).tobytes()).hexdigest()


def _save(model: onnx.ModelProto, metadata: dict[str, str], path: Path) -> None:
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
