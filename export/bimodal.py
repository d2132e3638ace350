"""Checkpoints of the bi-modal separator, and what is asked of them, into windowed models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..runtime.errors import BundleError, QueryError
from ..runtime.queries import check_words
from ..runtime.spec import Query
from ..separators.bimodal import BiModal
from ..separators.bimodal_live import BiModalLive
from ..separators.bimodal_phrases import Phrase, condition, encode, read_phrase
from ..separators.bimodal_whole import separate_windows
from ..separators.checkpoints import Checkpoint
from ..separators.clap_tokens import ROBERTA, Tokeniser
from .asked import Asked
from .whole import Progress, WholeFile
from .windowed import WindowedModel, digest

_ENCODER = f"laion-clap/{ROBERTA}"


def bimodal_model(checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked) -> WindowedModel:
    """The windowed model of a checkpoint, its queries' keys, values and gates worked out.

    Args:
        checkpoint: what was loaded.
        path: from where.
        asked: a query is one text, as it is; its file, one that ``read_phrase`` takes. ``weights``
            is a folder with the vocabulary of roberta-base.

    Raises:
        QueryError: queries that cannot be read, words without a text branch or a vocabulary.
    """
    network, phrases, conditioning = _wanted(checkpoint, path, asked)
    return WindowedModel(
        architecture=checkpoint.architecture,
        network=network,
        live=lambda want: network if want.is_whole else BiModalLive(network, want),
        front=network.config.front,
        queries=tuple(
            Query(name, (name,), (), _ENCODER, _digest(phrase)) for name, phrase in phrases.items()
        ),
        conditioning=conditioning.numpy(),
        fill="zeros",  # as clips that were too short were in training
        training={},
        checkpoint_sha256=checkpoint.sha256,
    )


def bimodal_whole(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked, threshold: float | None
) -> WholeFile:
    """The published inference of a checkpoint; arguments as of `bimodal_model`.

    Raises:
        BundleError: a threshold, which it never had.
    """
    if threshold is not None:
        raise BundleError("bimodal was published with soft masks alone; leave --threshold out")
    network, phrases, conditioning = _wanted(checkpoint, path, asked)

    def separate(audio: Tensor, progress: Progress) -> Tensor:
        return separate_windows(network, audio, conditioning, progress=progress)

    return WholeFile(network.config.front.sample_rate, tuple(phrases), separate)


def _wanted(
    checkpoint: Checkpoint[nn.Module], path: Path, asked: Asked
) -> tuple[BiModal, dict[str, Phrase], Tensor]:
    """The network, its queries by name, and their conditioning."""
    network = checkpoint.network
    assert isinstance(network, BiModal)
    check_words([*asked.queries, *asked.embeddings])
    if asked.negatives:
        raise QueryError("bimodal's queries are texts as they are; it knows no negatives")
    try:
        phrases = _encode(network, path, asked)
        phrases |= {
            name: read_phrase(file, network.net_clap.text, network.config)
            for name, file in asked.embeddings.items()
        }
        with torch.no_grad():
            return network, phrases, condition(network, list(phrases.values()))
    except (ImportError, OSError, ValueError) as error:
        raise QueryError(str(error)) from error


def _encode(network: BiModal, path: Path, asked: Asked) -> dict[str, Phrase]:
    if not asked.queries:
        return {}
    text = network.net_clap.text
    if text is None:
        raise QueryError(
            f"{path} has no text branch for {asked.queries[0]!r}; encode it elsewhere and give the "
            "file with --query-embedding"
        )
    ids = Tokeniser(asked.weights)(asked.queries)
    return dict(zip(asked.queries, encode(text, ids), strict=True))


def _digest(phrase: Phrase) -> str:
    parts = [phrase.tokens.flatten(), phrase.counts, phrase.embedding]
    return digest(torch.cat(parts).numpy().astype(np.float32))
