"""The small network inside a bundle that turns the embedding of some words into a conditioning."""

import numpy as np
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
        signature = [
            [(node.name, node.type, len(node.shape)) for node in nodes]
            for nodes in (self._session.get_inputs(), self._session.get_outputs())
        ]
        if signature != [
            [("embedding", "tensor(float)", 2)],
            [("conditioning", "tensor(float)", 2)],
        ]:
            raise BundleError(
                f"the bundle's conditioner has inputs and outputs {signature}, expected "
                "embedding [N, E] to conditioning [N, D] in float32; export the bundle again"
            )
        self.embedding_size = int(self._session.get_inputs()[0].shape[1])

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Conditioning [N, D] of `embeddings` [N, E], both float32.

        Raises `ValueError` for embeddings of another size than the network was made for.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.embedding_size:
            raise ValueError(f"embeddings are {embeddings.shape}, not [N, {self.embedding_size}]")
        (conditioning,) = self._session.run(None, {"embedding": embeddings})
        return np.asarray(conditioning, dtype=np.float32)
