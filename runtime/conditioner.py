"""The small network inside a bundle that turns the embedding of some words into a conditioning."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import BundleError
from .ort import open_cpu, run_in_time


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

        Raises `ValueError` for embeddings of another size than the network was made for, and
        `BundleError` if it does not make N rows of D finite numbers of them.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.embedding_size:
            raise ValueError(f"embeddings are {embeddings.shape}, not [N, {self.embedding_size}]")
        inputs = {"embedding": embeddings}
        found = run_in_time(lambda options: self._session.run(None, inputs, options))
        conditioning = np.asarray(found[0], dtype=np.float32)
        expected = (len(embeddings), self.conditioning_size)
        if conditioning.shape != expected or not np.isfinite(conditioning).all():
            raise BundleError(
                f"the bundle's conditioner made {conditioning.shape} numbers, expected {expected} "
                "finite ones; export the bundle again"
            )
        return conditioning


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
