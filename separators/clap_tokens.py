"""Texts to the token numbers of RoBERTa, as CLAP's text branch takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .hub import fetch
from .libraries import first_line, no_library

POSITIONS = 77
"""Tokens that a text is padded or cut to."""

PAD = 1
"""The token of padding."""

ROBERTA = "roberta-base"
"""Whose vocabulary it is; its name on the hub."""

_VOCABULARY = 50_265


class Tokeniser:
    """RoBERTa's byte-pair encoding, by the library transformers.

    Its vocabulary is in none of the published checkpoints: it comes from the hub or a folder.

    Args:
        source: a folder with ``vocab.json`` and ``merges.txt`` of roberta-base; None: the hub's.

    Raises:
        ImportError: transformers is not installed.
        OSError: the vocabulary can be had neither from this machine nor from the hub.
    """

    def __init__(self, source: str | None = None) -> None:
        try:
            from transformers import RobertaTokenizer
        except ImportError as error:
            raise no_transformers(error) from error
        origin = source or "the hub"
        try:
            folder = fetch(ROBERTA, ("vocab.json", "merges.txt")) if source is None else source
            self._tokeniser = RobertaTokenizer.from_pretrained(folder)
            found = self._tokeniser.vocab_size
        except Exception as error:  # of the network, the hub or the files: many unrelated kinds
            raise _no_vocabulary(origin, first_line(error)) from error
        if found != _VOCABULARY:  # where a file is missing the library makes up a small one
            raise _no_vocabulary(origin, f"it has {found} tokens, not {_VOCABULARY}")

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Token numbers ``(texts, 77)`` int64: 0, those of the text, 2, then 1 as padding."""
        found = self._tokeniser(
            list(texts), padding="max_length", truncation=True, max_length=POSITIONS
        )
        return torch.tensor(found["input_ids"])


def no_transformers(error: ImportError) -> ImportError:
    """For the library that CLAP's networks and vocabulary are read with."""
    return no_library("transformers, which reads CLAP,", "transformers", "export", error)


def _no_vocabulary(source: str, reason: str) -> OSError:
    return OSError(
        f"the vocabulary of {ROBERTA} cannot be loaded from {source} ({reason}); give a folder "
        "with its vocab.json and merges.txt (--encoder-weights), or the query as a file "
        "(--query-embedding)"
    )
