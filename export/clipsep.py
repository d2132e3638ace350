"""Checkpoints of CLIPSep and its relatives, and what is asked of them, into windowed models."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.errors import QueryError
from ..runtime.queries import check_words
from ..runtime.spec import Query
from ..runtime.vocabulary import Vocabulary
from ..separators.bertsep import BERTSep
from ..separators.checkpoints import Checkpoint
from ..separators.columns import Span
from ..separators.labelsep import LabelSep
from ..separators.log_picture import Geometry
from ..separators.pit import PIT
from ..separators.query_mix import mix
from .asked import FILE, IMAGE, Asked, Term, read_embedding, terms
from .graph import conditioner_graph
from .query_sources import EncoderSource, Source, bert_source, label_source
from .windowed import WindowedModel, digest

Embedding = NDArray[np.float32]

# What a train-args.json says that is worth keeping; the rest are paths and settings of a machine.
_KEPT = {
    *("train_mode", "image_model", "fusion", "channels", "layers", "n_mix", "n_labels"),
    *("audio_rate", "audio_len", "n_fft", "hop_len", "win_len", "frames", "stride_frames"),
    *("weighted_loss", "reg_coef", "reg_epsilon", "reg2_coef", "reg2_epsilon"),
}


class Network(Protocol):
    """What the networks of the family have in common, but for PIT, which takes no queries."""

    geometry: Geometry

    def live(self, want: Span) -> nn.Module: ...
    def condition(self, embedding: Tensor) -> Tensor: ...


def clipsep_model(checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked) -> WindowedModel:
    """The windowed model of a checkpoint of the family.

    Args:
        checkpoint: what was loaded.
        path: from where; files that belong to it are looked for there.
        asked: PIT takes no queries, the others one or more.

    Raises:
        QueryError: queries that the system cannot take, or no encoder for them.
    """
    if isinstance(checkpoint.network, PIT):
        return _pit(checkpoint, checkpoint.network, asked)
    network = cast(Network, checkpoint.network)
    check_words([*asked.queries, *asked.embeddings])
    source = _source(checkpoint, path, asked)
    size = _embedding_size(checkpoint.network)
    embedded = {words: _embed(terms(words), source, size) for words in asked.queries}
    embedded |= {name: read_embedding(file, size) for name, file in asked.embeddings.items()}
    queries = tuple(
        _query(name, name in asked.queries, source, row) for name, row in embedded.items()
    )
    rows = np.stack(list(embedded.values()))
    with torch.no_grad():
        conditioning = network.condition(torch.from_numpy(rows)).numpy()
    known = {**source.known, **embedded}
    vocabulary = Vocabulary(source.encoder, list(known), np.stack(list(known.values())), {})
    extras = {
        "soloist.vocabulary": vocabulary.to_json(),
        "soloist.conditioner": _conditioner(network, size),
    }
    return _model(checkpoint, network, queries, conditioning, extras)


def _pit(checkpoint: Checkpoint[nn.Module], network: PIT, asked: Asked) -> WindowedModel:
    if asked.queries or asked.embeddings:
        raise QueryError("pit separates two sources that nobody can name; ask it for nothing")
    conditioning = network.sources.detach().numpy()
    queries = tuple(
        Query(name, (name,), (), "none", digest(row))
        for name, row in zip(("source 1", "source 2"), conditioning, strict=True)
    )
    return _model(checkpoint, cast(Network, network), queries, conditioning, {})


def _model(
    checkpoint: Checkpoint[nn.Module],
    network: Network,
    queries: tuple[Query, ...],
    conditioning: Embedding,
    extras: dict[str, str],
) -> WindowedModel:
    return WindowedModel(
        architecture=checkpoint.architecture,
        network=checkpoint.network,
        live=network.live,
        front=network.geometry.front,
        queries=queries,
        conditioning=conditioning,
        fill="repeat",  # as clips that were too short were in training
        training={key: value for key, value in checkpoint.facts.items() if key in _KEPT},
        checkpoint_sha256=checkpoint.sha256,
        extras=extras,
    )


def _source(checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked) -> Source:
    network, arguments = checkpoint.network, checkpoint.facts
    if isinstance(network, LabelSep):
        return label_source(path, arguments, network.label_net.weight.detach().numpy())
    if isinstance(network, BERTSep):
        return bert_source(path, arguments, asked.weights)
    return EncoderSource(f"clip/{asked.prompts}", asked.weights)


def _embed(asked: list[Term], source: Source, size: int) -> Embedding:
    weighted = [(term, _embed_term(term.what, source, size)) for term in asked]
    if len(weighted) == 1:
        return weighted[0][1]
    positives = [(term.weight, row) for term, row in weighted if term.wanted]
    negatives = [(term.weight, row) for term, row in weighted if not term.wanted]
    try:
        return mix(positives, negatives)
    except ValueError as error:
        raise QueryError(str(error)) from error


def _embed_term(what: str, source: Source, size: int) -> Embedding:
    if what.startswith(FILE):
        return read_embedding(Path(what.removeprefix(FILE)), size)
    if what.startswith(IMAGE):
        return source.image(Path(what.removeprefix(IMAGE)))
    row = source.words(what)
    if row.shape != (size,):
        raise QueryError(
            f"encoder {source.encoder} makes {row.size} numbers, the network takes {size}"
        )
    return row


def _query(name: str, in_words: bool, source: Source, row: Embedding) -> Query:
    parts = terms(name) if in_words else [Term(name, 1.0, True)]
    positive = tuple(term.what for term in parts if term.wanted)
    negative = tuple(term.what for term in parts if not term.wanted)
    return Query(name, positive, negative, source.encoder, digest(row))


def _embedding_size(network: nn.Module) -> int:
    matrices = [m for m in network.get_submodule("frame_net").modules() if isinstance(m, nn.Linear)]
    return matrices[0].in_features


class _Conditioner(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, embedding: Tensor) -> Tensor:
        return self.network.condition(embedding)


def _conditioner(network: Network, size: int) -> str:
    graph = conditioner_graph(_Conditioner(network), size)
    return base64.b64encode(graph.SerializeToString()).decode()
