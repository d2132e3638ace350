"""Text encoders that need torch: words to unit-length embeddings, by libraries with the models.

The encoder that most networks use ships with ``runtime`` and needs none of this. Importing this
module loads no library; asking for an encoder does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .bert_encoder import BertEncoder
from .clip_encoder import ClipEncoder
from .libraries import no_library, no_weights
from .prompts import PROMPTS

_OPEN_CLIP = "open_clip/"


_CLIP = "clip/"


def load_encoder(name: str, weights: str | None = None) -> OpenClip | ClipEncoder | BertEncoder:
    """Loads a text encoder; takes seconds.

    Args:
        name: ``"open_clip/MODEL/WEIGHTS"`` such as ``"open_clip/ViT-B-32-quickgelu/openai"``, of
            unit length; ``"clip/PROMPTS"`` such as ``"clip/photo"``, CLIP as CLIPSep asks it; or
            ``"bert-mini"``.
        weights: a file or folder, or the hub's name, to take instead of the usual weights.

    Raises:
        ValueError: no encoder has that name.
        ImportError: its library is not installed.
        OSError: its weights can be had neither from this machine nor from the hub.
    """
    if name.startswith(_OPEN_CLIP) and name.count("/") == 2:
        _, model, tag = name.split("/")
        return OpenClip(model, tag if weights is None else weights)
    if name.startswith(_CLIP):
        ensemble = name.removeprefix(_CLIP)
        return ClipEncoder(ensemble) if weights is None else ClipEncoder(ensemble, weights)
    if name == BertEncoder.name:
        return BertEncoder() if weights is None else BertEncoder(weights)
    known = ", ".join(
        [f"{_OPEN_CLIP}MODEL/WEIGHTS", *(f"{_CLIP}{p}" for p in PROMPTS), "bert-mini"]
    )
    raise ValueError(f"text encoder {name!r} is unknown; known beside those that ship: {known}")


class OpenClip:
    """The text tower of a CLIP model on the CPU (open_clip).

    Args:
        model, weights: as in ``open_clip.list_pretrained()``; ``weights`` "" means random ones.
    """

    def __init__(self, model: str, weights: str) -> None:
        try:
            import open_clip
        except (ImportError, RuntimeError) as error:  # torchvision of another torch
            raise no_library("text encoder open_clip", "open_clip", "clip", error) from error
        self.name = f"{_OPEN_CLIP}{model}/{weights}"
        try:
            self._model = open_clip.create_model(model, pretrained=weights or None).eval()
            self._tokenise = open_clip.get_tokenizer(model)
        except Exception as error:  # of the hub, the network or the files: many unrelated kinds
            raise no_weights(f"text encoder {self.name}", weights or model, error) from error
        self.dimension = int(self.encode(["a sound"]).shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings ``(texts, dimension)`` float32, each row of Euclidean length 1."""
        import torch

        with torch.no_grad():
            embeddings = self._model.encode_text(self._tokenise(list(texts)), normalize=True)
        return np.asarray(embeddings.numpy(), dtype=np.float32)
