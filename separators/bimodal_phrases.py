"""What the bi-modal separator is told of a text: its tokens' states, and its embedding.

The text is padded to 77 tokens and the padding is attended to like any other, so it is part of the
model. All padding positions have one and the same state: they are kept as one row and a count.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .bimodal import BiModal, BiModalConfig
from .clap_text import ClapText
from .clap_tokens import PAD, POSITIONS


@dataclass(frozen=True)
class Phrase:
    """A text as CLAP's text branch encodes it.

    Attributes:
        tokens: ``(rows, width)``, the distinct states of its last layer, that of padding last.
        counts: ``(rows,)``, at how many of the 77 positions each stands.
        embedding: ``(512,)``, of length 1.
    """

    tokens: Tensor
    counts: Tensor
    embedding: Tensor

    @classmethod
    def of(cls, tokens: Tensor, padding: Tensor, embedding: Tensor) -> Phrase:
        """From the states of a text's ``n`` tokens ``(n, width)`` and of padding ``(width,)``."""
        pads = POSITIONS - len(tokens)
        counts = torch.ones(len(tokens))
        if not pads:
            return cls(tokens, counts, embedding)
        rows = torch.cat([tokens, padding[None]])
        return cls(rows, torch.cat([counts, torch.tensor([float(pads)])]), embedding)


@torch.no_grad()
def encode(text: ClapText, ids: Tensor) -> list[Phrase]:
    """Encodes token numbers ``(texts, 77)`` int64, padded with 1 at their ends."""
    phrases = []
    for states, embedding, row in zip(*text(ids), ids, strict=True):
        length = int((row != PAD).sum())
        phrases.append(Phrase.of(states[:length], states[-1], embedding))
    return phrases


def condition(network: BiModal, phrases: Sequence[Phrase]) -> Tensor:
    """The conditioning of several texts, ``(queries, size)``, shorter ones filled up."""
    device = network.net_synthesizer.bias.device
    tokens = pad_sequence([phrase.tokens for phrase in phrases], batch_first=True).to(device)
    counts = pad_sequence([phrase.counts for phrase in phrases], batch_first=True).to(device)
    embeddings = torch.stack([phrase.embedding for phrase in phrases]).to(device)
    return network.condition(tokens, counts, embeddings)


def read_phrase(path: Path, text: ClapText | None, config: BiModalConfig) -> Phrase:
    """Reads a query that was encoded elsewhere.

    Args:
        path: an ``.npz`` file with ``hidden_tokens`` (n, width), the states of n tokens of 77,
            ``hidden_pad`` (width), that of the padding, and ``text_embed`` (512); or one with
            ``input_ids`` (n), RoBERTa's token numbers from 0 to 2; or an ``.npy`` file of those.
        text: encodes token numbers; None where the checkpoint has no text branch.
        config: sizes of the network that the query is for.

    Raises:
        ValueError: the file is none of these.
    """
    arrays = _read_arrays(path)
    if arrays.keys() >= {"hidden_tokens", "hidden_pad", "text_embed"}:
        states = [arrays[key] for key in ("hidden_tokens", "hidden_pad", "text_embed")]
        _check_states(path, config, *states)
        return Phrase.of(*(torch.from_numpy(part.astype(np.float32)) for part in states))
    if "input_ids" not in arrays:
        raise ValueError(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; expected input_ids, or "
            "hidden_tokens, hidden_pad and text_embed"
        )
    ids = arrays["input_ids"].reshape(-1)
    ids = ids[ids != PAD]
    if ids.dtype.kind not in "iu" or not 2 <= len(ids) <= POSITIONS or (ids[0], ids[-1]) != (0, 2):
        raise ValueError(
            f"{path}: found {ids[:8].tolist()}..., expected 2 to {POSITIONS} token numbers of "
            "RoBERTa that begin with 0 and end with 2"
        )
    if text is None:
        raise ValueError(
            f"{path} holds token numbers, the checkpoint no text branch to encode them"
        )
    row = torch.full((1, POSITIONS), PAD)
    row[0, : len(ids)] = torch.from_numpy(ids.astype(np.int64))
    return encode(text, row)[0]


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path)  # without pickles, which is the default
        if isinstance(loaded, np.ndarray):
            return {"input_ids": loaded}
        with loaded:
            return {key: loaded[key] for key in loaded}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise ValueError(f"{path} cannot be read as .npy or .npz ({reason})") from error


def _check_states(
    path: Path, config: BiModalConfig, tokens: np.ndarray, padding: np.ndarray, pooled: np.ndarray
) -> None:
    fits = (
        tokens.shape[1:] == padding.shape == (config.words,)
        and 1 <= len(tokens) <= POSITIONS
        and pooled.shape == (config.embedding,)
    )
    if not fits:
        raise ValueError(
            f"{path}: hidden_tokens {tokens.shape}, hidden_pad {padding.shape} and text_embed "
            f"{pooled.shape} do not fit; expected (1 to {POSITIONS}, {config.words}), "
            f"({config.words},) and ({config.embedding},)"
        )
    for name, part in zip(
        ("hidden_tokens", "hidden_pad", "text_embed"), (tokens, padding, pooled), strict=True
    ):
        if part.dtype.kind not in "fiu" or not np.isfinite(part).all():
            raise ValueError(f"{path}: {name} holds {part.dtype}; expected finite real numbers")
