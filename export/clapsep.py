"""Checkpoints of CLAPSep, and what is asked of them, into windowed models and whole-file runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..runtime.errors import BundleError, QueryError
from ..runtime.spec import Query
from ..separators.checkpoints import Checkpoint
from ..separators.clap import CLAP
from ..separators.clap_text import DIMENSION
from ..separators.clapsep import CLAPSep, query
from ..separators.clapsep_whole import separate_clips
from ..separators.columns import Cropped
from .asked import Asked, read_embedding
from .clap_queries import ClapQueries, Embedding, Weighted, embed_queries
from .whole import Progress, WholeFile
from .windowed import WindowedModel


def clapsep_model(checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked) -> WindowedModel:
    """The windowed model of a checkpoint.

    Args:
        checkpoint: what was loaded.
        path: from where; CLAP's file is looked for there.
        asked: a query's terms may be words, ``sound:FILE`` and ``file:FILE``. Those that are wanted
            are added as they are weighted, those that are not likewise, and both are joined: the
            network takes either half, or both. An embedding is 512 numbers, what is wanted, or
            1024, both halves. Negatives alone ask for everything else.

    Raises:
        QueryError: queries that cannot be read, or CLAP cannot be had.
    """
    network, queries, conditioning = _wanted(checkpoint, path, asked)

    def model(network: CLAPSep) -> WindowedModel:
        return WindowedModel(
            architecture=checkpoint.architecture,
            network=network,
            live=lambda want: Cropped(network, want),
            front=network.front,
            queries=queries,
            conditioning=conditioning.numpy(),
            fill="zeros",  # training filled short clips with silence, though after them
            free_batch=False,
            int8=True,
            advance=50,
            crossfade=10,
            room=140,  # the last layer alone is made for these
            resized=lambda samples: model(_of_length(network, samples)),
            training={},
            checkpoint_sha256=checkpoint.sha256,
        )

    return model(network)


def clapsep_whole(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked, threshold: float | None
) -> WholeFile:
    """The published inference of a checkpoint; arguments as of `clapsep_model`.

    Raises:
        BundleError: a threshold, which it never had.
    """
    if threshold is not None:
        raise BundleError("clapsep was published with soft masks alone; leave --threshold out")
    network, queries, conditioning = _wanted(checkpoint, path, asked)

    def separate(audio: Tensor, progress: Progress) -> Tensor:
        return separate_clips(network, audio, conditioning, progress=progress)

    return WholeFile(network.front.sample_rate, tuple(each.name for each in queries), separate)


def _wanted(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked
) -> tuple[CLAPSep, tuple[Query, ...], Tensor]:
    """The network, its queries and their conditioning."""
    network = checkpoint.network
    assert isinstance(network, CLAPSep)
    named = {words: asked.terms(words) for words in asked.queries}
    if asked.negatives and not named and not asked.embeddings:
        named = {f"not {', '.join(asked.negatives)}": asked.unwanted()}
    clap = ClapQueries(CLAP, path, asked.weights)
    queries, rows = embed_queries(named, asked.embeddings, clap, _join, _read)
    with torch.no_grad():
        return network, queries, network.condition(rows)


def _join(positives: Weighted, negatives: Weighted) -> Embedding:
    """Both halves in one, ``(1024,)``."""
    halves = [
        torch.from_numpy(np.sum([weight * row for weight, row in half], axis=0)).float()
        if half
        else None
        for half in (positives, negatives)
    ]
    row: Embedding = query(*halves).numpy()
    return row


def _read(file: Path) -> Embedding:
    """Both halves, or one of what is wanted."""
    try:
        row = torch.from_numpy(read_embedding(file, 2 * DIMENSION))
    except QueryError:
        row = torch.from_numpy(read_embedding(file, DIMENSION))
    halves = row.split(DIMENSION)
    joined: Embedding = query(*halves).numpy()
    return joined


def _of_length(network: CLAPSep, samples: int) -> CLAPSep:
    try:
        return CLAPSep(replace(network.front, clip=samples), like=network)
    except ValueError as error:
        raise BundleError(str(error)) from error
