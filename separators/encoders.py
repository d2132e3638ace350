"""Text encoders that need torch: words to unit-length embeddings, by libraries with the models.

The encoder that most networks use ships with ``runtime`` and needs none of this. Importing this
module loads no library; asking for an encoder does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_OPEN_CLIP = "open_clip/"


def load_encoder(name: str) -> OpenClip:
    """Loads a text encoder; takes seconds.

    Args:
        name: ``"open_clip/MODEL/WEIGHTS"`` such as ``"open_clip/ViT-B-32-quickgelu/openai"``.

    Raises:
        ValueError: no encoder has that name.
        ImportError: its library is not installed.
        OSError: its weights can be had neither from this machine nor from the hub.
    """
    if name.startswith(_OPEN_CLIP) and name.count("/") == 2:
        _, model, weights = name.split("/")
        return OpenClip(model, weights)
    raise ValueError(
        f"text encoder {name!r} is unknown; known beside those that ship: {_OPEN_CLIP}MODEL/WEIGHTS"
    )


class OpenClip:
    """The text tower of a CLIP model on the CPU (open_clip).

    Args:
        model, weights: as in ``open_clip.list_pretrained()``; ``weights`` "" means random ones.
    """

    def __init__(self, model: str, weights: str) -> None:
        try:
            import open_clip
        except ImportError as error:
            raise _no_library("open_clip", "clip", error) from error
        self.name = f"{_OPEN_CLIP}{model}/{weights}"
        try:
            self._model = open_clip.create_model(model, pretrained=weights or None).eval()
            self._tokenise = open_clip.get_tokenizer(model)
        except Exception as error:  # of the hub, the network or the files: many unrelated kinds
            raise OSError(_no_weights(self.name, weights or model, error)) from error
        self.dimension = int(self.encode(["a sound"]).shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings ``(texts, dimension)`` float32, each row of Euclidean length 1."""
        import torch

        with torch.no_grad():
            embeddings = self._model.encode_text(self._tokenise(list(texts)), normalize=True)
        return np.asarray(embeddings.numpy(), dtype=np.float32)


def _no_library(encoder: str, extra: str, error: ImportError) -> ImportError:
    if isinstance(error, ModuleNotFoundError):
        return ImportError(
            f'text encoder {encoder} is not installed: pip install "soloist[{extra}]"'
        )
    return ImportError(f"text encoder {encoder} is installed but broken ({error}); install it anew")


def _no_weights(name: str, source: str, error: Exception) -> str:
    reason = str(error).partition("\n")[0][:120]
    return f"the weights of text encoder {name} cannot be loaded from {source} ({reason})"
