"""Checkpoints of CLIPSep and its relatives, and what is asked of them, into windowed models."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
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
from ..separators.whole_file import separate_whole
from .asked import FILE, IMAGE, Asked, Term, read_embedding
from .graph import conditioner_graph
from .query_sources import EncoderSource, Source, bert_source, label_source
from .whole import Progress, WholeFile
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

    def __call__(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor: ...
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
    network, wanted = cast(Network, checkpoint.network), _wanted(checkpoint, path, asked)
    extras = {}
    if wanted.known:
        phrases, rows = list(wanted.known), np.stack(list(wanted.known.values()))
        classes = {phrase: (phrase,) for phrase in phrases}
        vocabulary = Vocabulary(wanted.queries[0].encoder, phrases, rows, classes)
        extras = {
            "soloist.vocabulary": vocabulary.to_json(),
            "soloist.conditioner": _conditioner(network, rows.shape[1]),
        }
    return WindowedModel(
        architecture=checkpoint.architecture,
        network=checkpoint.network,
        live=network.live,
        front=network.geometry.front,
        queries=wanted.queries,
        conditioning=wanted.conditioning,
        fill="repeat",  # as clips that were too short were in training
        training={key: value for key, value in checkpoint.facts.items() if key in _KEPT},
        checkpoint_sha256=checkpoint.sha256,
        extras=extras,
    )


def clipsep_whole(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked, threshold: float | None
) -> WholeFile:
    """The published inference of a checkpoint of the family; arguments as of `clipsep_model`."""
    network, wanted = cast(Network, checkpoint.network), _wanted(checkpoint, path, asked)
    conditioning = torch.from_numpy(wanted.conditioning)

    def separate(audio: Tensor, progress: Progress) -> Tensor:
        return separate_whole(network, audio, conditioning, threshold=threshold, progress=progress)

    names = tuple(query.name for query in wanted.queries)
    return WholeFile(network.geometry.front.sample_rate, names, separate)


@dataclass(frozen=True)
class _Wanted:
    """What is asked for, and all embeddings that are known by name; none of PIT."""

    queries: tuple[Query, ...]
    conditioning: Embedding
    known: Mapping[str, Embedding]


def _wanted(checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked) -> _Wanted:
    if isinstance(checkpoint.network, PIT):
        return _sources(checkpoint.network, asked)
    check_words([*asked.queries, *asked.embeddings])
    source = _source(checkpoint, path, asked)
    size = _embedding_size(checkpoint.network)
    embedded = {words: _embed(asked.terms(words), source, size) for words in asked.queries}
    embedded |= {name: read_embedding(file, size) for name, file in asked.embeddings.items()}
    queries = tuple(
        _query(name, asked.terms(name) if name in asked.queries else [], source, row)
        for name, row in embedded.items()
    )
    rows = torch.from_numpy(np.stack(list(embedded.values())))
    with torch.no_grad():
        conditioning = cast(Network, checkpoint.network).condition(rows).numpy()
    return _Wanted(queries, conditioning, {**source.known, **embedded})


def _sources(network: PIT, asked: Asked) -> _Wanted:
    if asked.queries or asked.embeddings or asked.negatives:
        raise QueryError("pit separates two sources that nobody can name; ask it for nothing")
    conditioning = network.sources.detach().numpy()
    queries = tuple(
        Query(name, (name,), (), "none", digest(row))
        for name, row in zip(("source 1", "source 2"), conditioning, strict=True)
    )
    return _Wanted(queries, conditioning, {})


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


def _query(name: str, parts: list[Term], source: Source, row: Embedding) -> Query:
    positive = tuple(term.what for term in parts if term.wanted) or (name,)
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
