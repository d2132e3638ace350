"""Runs of a network in memory that is bound once: arrays here, and their mirrors on a GPU."""

from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from . import cuda

Floats = NDArray[np.float32]
Tensors = Mapping[str, onnxruntime.OrtValue]


class Run:
    """A run of a session, always in the same memory; on CUDA recorded, where the session is."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        binding: onnxruntime.IOBinding,
        mirror: cuda.Mirror | None,
    ) -> None:
        self._session, self._binding, self._mirror = session, binding, mirror
        self._options = cuda.recording() if cuda.records(session) else None

    def __call__(self, options: onnxruntime.RunOptions | None = None) -> None:
        """Compute the outputs from the inputs. Allocates nothing of its own."""
        mirror = self._mirror
        if mirror is not None:
            mirror.send()
        self._session.run_with_iobinding(self._binding, options or self._options)
        if mirror is not None:
            mirror.fetch()

    def add(self, name: str, tensor: onnxruntime.OrtValue) -> "Run":
        """The run with one more input; what was recorded without it is left behind."""
        self._binding.bind_ortvalue_input(name, tensor)
        return Run(self._session, self._binding, self._mirror)


class Buffers:
    """Arrays here, `inputs` and `outputs` by their names in the graph, that runs are bound to.

    On CUDA they have mirrors there, which each run copies from and to; elsewhere runs read and
    write the arrays themselves.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        provider: str,
        inputs: Mapping[str, Floats],
        outputs: Mapping[str, Floats],
    ) -> None:
        self._session = session
        self._index: int | None = None
        self._mirror: cuda.Mirror | None = None
        if provider.startswith("cuda"):
            self._index = int(provider.removeprefix("cuda:"))
            self._mirror = cuda.Mirror(inputs, outputs, self._index)
            self._inputs: Tensors = self._mirror.inputs
            self._outputs: Tensors = self._mirror.outputs
        else:
            self._inputs = {name: self.place(array) for name, array in inputs.items()}
            self._outputs = {name: self.place(array) for name, array in outputs.items()}

    def place(self, values: Floats) -> onnxruntime.OrtValue:
        """A tensor that stays where the network runs: on the CPU the memory of `values` itself."""
        if self._index is None:
            return onnxruntime.OrtValue.ortvalue_from_numpy(values)
        return cuda.place(values, self._index)

    def bind(self, inputs: Tensors, outputs: Tensors) -> Run:
        """A run on these buffers, and on further tensors that stay where the network runs."""
        binding = self._session.io_binding()
        for name, tensor in (*self._inputs.items(), *inputs.items()):
            binding.bind_ortvalue_input(name, tensor)
        for name, tensor in (*self._outputs.items(), *outputs.items()):
            binding.bind_ortvalue_output(name, tensor)
        return Run(self._session, binding, self._mirror)
