"""Texts to the token numbers of RoBERTa, as CLAP's text branch takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

POSITIONS = 77
"""Tokens that a text is padded or cut to."""

PAD = 1
"""The token of padding."""

ROBERTA = "roberta-base"

_VOCABULARY = 50_265


class Tokeniser:
    """RoBERTa's byte-pair encoding, by the library transformers.

    Its vocabulary is in none of the published checkpoints: it comes from the hub or a folder.

    Args:
        source: a folder with ``vocab.json`` and ``merges.txt`` of roberta-base, or its name there.

    Raises:
        ImportError: transformers is not installed.
        OSError: the vocabulary can be had neither from this machine nor from the hub.
    """

    def __init__(self, source: str = ROBERTA) -> None:
        try:
            from transformers import RobertaTokenizer
        except ImportError as error:
            raise no_transformers() from error
        try:
            self._tokeniser = RobertaTokenizer.from_pretrained(source)
            found = self._tokeniser.vocab_size
        except Exception as error:  # of the hub, the network or the files: many unrelated kinds
            raise _no_vocabulary(source, str(error).partition("\n")[0][:120]) from error
        if found != _VOCABULARY:  # where a file is missing the library makes up a small one
            raise _no_vocabulary(source, f"it has {found} tokens, not {_VOCABULARY}")

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Token numbers ``(texts, 77)`` int64: 0, those of the text, 2, then 1 as padding."""
        found = self._tokeniser(
            list(texts), padding="max_length", truncation=True, max_length=POSITIONS
        )
        return torch.tensor(found["input_ids"])


def no_transformers() -> ImportError:
    """Says how to get the library that CLAP's networks and vocabulary are read with."""
    return ImportError(
        'CLAP needs the library transformers, which is not installed: pip install "soloist[export]"'
    )


def _no_vocabulary(source: str, reason: str) -> OSError:
    return OSError(
        f"the vocabulary of {ROBERTA} cannot be loaded from {source} ({reason}); give a folder "
        "with its vocab.json and merges.txt, or the query as token numbers"
    )
