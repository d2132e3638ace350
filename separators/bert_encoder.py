"""BERT-mini as BERTSep asks it (transformers)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .hub import fetch
from .libraries import no_library, no_weights

BERT_MINI = "google/bert_uncased_L-4_H-256_A-4"
"""BERT-mini of Turc et al. 2019 on the hub, Apache-2.0: 4 layers, width 256."""


class BertEncoder:
    """Embeddings of the words by BERT-mini: the mean of the last layer's states.

    The published code reads the embeddings of its labels from ``bert_embeddings.pt`` and does not
    say how they were pooled. Where that file is at hand, its embeddings are the ones to use.

    Args:
        weights: a folder with a model and its tokenizer, or its name on the hub.

    Raises:
        ImportError: transformers is not installed, or broken.
        OSError: its weights can be had neither from this machine nor from the hub.
    """

    name = "bert-mini"

    def __init__(self, weights: str = BERT_MINI) -> None:
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise no_library(f"encoder {self.name}", "transformers", "export", error) from error
        try:
            if not Path(weights).is_dir():
                fetch(weights, ["config.json"])  # at once or not at all: the library tries for long
            self._tokenise = AutoTokenizer.from_pretrained(weights)
            self._model = AutoModel.from_pretrained(weights).eval()
        except Exception as error:  # of the hub, the network or the files: many unrelated kinds
            raise no_weights(f"encoder {self.name}", weights, error) from error
        self.dimension = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings ``(texts, 256)`` float32."""
        import torch

        rows = []
        with torch.no_grad():
            for text in texts:
                tokens = self._tokenise(text, return_tensors="pt", truncation=True)
                rows.append(self._model(**tokens).last_hidden_state[0].mean(0).numpy())
        return np.stack(rows).astype(np.float32)
