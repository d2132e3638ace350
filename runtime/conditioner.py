"""The small network inside a bundle that turns the embedding of some words into a conditioning."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import BundleError
from .ort import open_cpu


class Conditioner:
    """Query embeddings to what the bundle's graph takes as `conditioning`, once per query.

    `model` is ONNX: input `embedding` [N, E], output `conditioning` [N, D], float32.
    Raises `BundleError` if it is not.
    """

    def __init__(self, model: bytes) -> None:
        self._session = open_cpu(model, optimise=False)
        self.embedding_size = _width("embedding", self._session.get_inputs())
        self.conditioning_size = _width("conditioning", self._session.get_outputs())

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Conditioning [N, D] of `embeddings` [N, E], both float32.

        Raises `ValueError` for embeddings of another size than the network was made for.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.embedding_size:
            raise ValueError(f"embeddings are {embeddings.shape}, not [N, {self.embedding_size}]")
        (conditioning,) = self._session.run(None, {"embedding": embeddings})
        return np.asarray(conditioning, dtype=np.float32)


def _width(name: str, nodes: Sequence[onnxruntime.NodeArg]) -> int:
    """Second axis of the only node, which is `name` [N, number] in float32."""
    found = [(node.name, node.type, node.shape) for node in nodes]
    match found:
        case [(str(only), "tensor(float)", [_, int(width)])] if only == name:
            return width
    raise BundleError(
        f"the bundle's conditioner has {found}, expected {name} [N, number] in float32; "
        "export the bundle again"
    )
