"""Checkpoints of AudioSep, and what is asked of them, into windowed models and whole-file runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..runtime.errors import BundleError, QueryError
from ..runtime.spec import Query
from ..separators.audiosep import CLAP_SIZE, AudioSep
from ..separators.audiosep_whole import separate_recording
from ..separators.checkpoints import Checkpoint
from ..separators.clap import CLAP_SPEECH
from ..separators.columns import Cropped
from ..separators.query_mix import mix
from .asked import Asked, read_embedding
from .clap_queries import ClapQueries, Embedding, Weighted, embed_queries
from .whole import Progress, WholeFile
from .windowed import WindowedModel


def audiosep_model(checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked) -> WindowedModel:
    """The windowed model of a checkpoint.

    Args:
        checkpoint: what was loaded.
        path: from where; CLAP is looked for in it and beside it.
        asked: a query's terms may be words, ``sound:FILE`` and ``file:FILE``; see
            :func:`~..separators.query_mix.mix`. An embedding is 512 numbers.

    Raises:
        QueryError: queries that cannot be read, or CLAP cannot be had.
    """
    network, queries, conditioning = _wanted(checkpoint, path, asked)
    model = WindowedModel(
        architecture=checkpoint.architecture,
        network=network,
        live=lambda want: Cropped(network, want),
        front=network.front,
        queries=queries,
        conditioning=conditioning.numpy(),
        fill="zeros",
        free_batch=False,
        advance=100,
        crossfade=10,
        training={},
        checkpoint_sha256=checkpoint.sha256,
    )
    # any length will do: nothing of the network knows it
    return replace(
        model, resized=lambda samples: replace(model, front=replace(model.front, clip=samples))
    )


def audiosep_whole(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked, threshold: float | None
) -> WholeFile:
    """The published inference of a checkpoint; arguments as of `audiosep_model`.

    Raises:
        BundleError: a threshold, which it never had.
    """
    if threshold is not None:
        raise BundleError("audiosep was published with soft masks alone; leave --threshold out")
    network, queries, conditioning = _wanted(checkpoint, path, asked)

    def separate(audio: Tensor, progress: Progress) -> Tensor:
        return separate_recording(network, audio, conditioning, progress=progress)

    return WholeFile(network.front.sample_rate, tuple(query.name for query in queries), separate)


def _wanted(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked
) -> tuple[AudioSep, tuple[Query, ...], Tensor]:
    """The network, its queries and their conditioning."""
    network = checkpoint.network
    assert isinstance(network, AudioSep)
    named = {words: asked.terms(words) for words in asked.queries}
    clap = ClapQueries(CLAP_SPEECH, path, asked.weights)
    queries, rows = embed_queries(named, asked.embeddings, clap, _mixed, _read)
    with torch.no_grad():
        return network, queries, network.condition(rows)


def _mixed(positives: Weighted, negatives: Weighted) -> Embedding:
    return _unit(mix(positives, negatives))


def _read(file: Path) -> Embedding:
    return _unit(read_embedding(file, CLAP_SIZE))


def _unit(row: Embedding) -> Embedding:
    """Of length 1, as AudioSep was trained."""
    length = float(np.linalg.norm(row))
    if not length:
        raise QueryError("an embedding of nothing but zeros asks for nothing")
    return row / np.float32(length)
