"""CLIP ViT-B/32 as CLIPSep asks it: words in a prompt, or pictures, at their own length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .libraries import no_library, no_weights
from .prompts import PROMPTS, prompts

MODEL, WEIGHTS = "ViT-B-32-quickgelu", "openai"
"""OpenAI's network in open_clip's names; plain ``ViT-B-32`` would compute with another GELU."""


class ClipEncoder:
    """Embeddings by open_clip, not normalised: CLIPSep's gates depend on their length.

    OpenAI's own package computes in half precision on a GPU; this is single precision on the CPU,
    and differs by the rounding.

    Args:
        ensemble: which of :data:`.prompts.PROMPTS` goes around the words.
        weights: a tag of open_clip's, or a file with the weights; "" means random ones.

    Raises:
        ValueError: no prompts of that name.
        ImportError: open_clip is not installed, or broken.
        OSError: its weights can be had neither from this machine nor from the hub.
    """

    dimension = 512

    def __init__(self, ensemble: str = "photo", weights: str = WEIGHTS) -> None:
        if ensemble not in PROMPTS:
            raise ValueError(f"no prompts {ensemble!r}; known: {', '.join(PROMPTS)}")
        self.name = f"clip/{ensemble}"
        self._ensemble = ensemble
        try:
            import open_clip
        except (ImportError, RuntimeError) as error:  # torchvision of another torch
            raise no_library(f"encoder {self.name}", "open_clip", "clip", error) from error
        try:
            self._model, _, self._prepare = open_clip.create_model_and_transforms(
                MODEL, pretrained=weights or None
            )
            self._tokenise = open_clip.get_tokenizer(MODEL)
        except Exception as error:  # of the hub, the network or the files: many unrelated kinds
            raise no_weights(f"encoder {self.name}", weights or MODEL, error) from error
        self._model.eval()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings ``(texts, 512)`` float32, each the mean over its prompts.

        Raises:
            ValueError: a text of more tokens than CLIP reads.
        """
        rows = [self._mean(self._model.encode_text, self._tokens(text)) for text in texts]
        return np.stack(rows)

    def encode_images(self, paths: Sequence[Path]) -> NDArray[np.float32]:
        """Embeddings ``(pictures, 512)`` float32.

        Raises:
            OSError: one of them is no picture that Pillow reads.
        """
        from PIL import Image

        rows = []
        for path in paths:
            with Image.open(path) as picture:
                rows.append(self._mean(self._model.encode_image, self._prepare(picture)[None]))
        return np.stack(rows)

    def _tokens(self, text: str) -> Any:
        strings = prompts(text, self._ensemble)
        # CLIP's own code refuses what open_clip cuts off; two tokens open and close a text
        most = self._tokenise.context_length - 2
        if any(len(self._tokenise.encode(string)) > most for string in strings):
            raise ValueError(f"{text[:60]!r}... is longer than the {most} tokens that CLIP reads")
        return self._tokenise(strings)

    @staticmethod
    def _mean(encode: Any, batch: Any) -> NDArray[np.float32]:
        import torch

        with torch.no_grad():
            return np.asarray(encode(batch).mean(0).numpy(), dtype=np.float32)
