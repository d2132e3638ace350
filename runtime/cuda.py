"""Runs on a GPU: what goes there and comes back, recorded once and replayed.

Written by onnxruntime's and CUDA's documentation; never run so far, no GPU was at hand.
"""

import ctypes
import itertools
import weakref
from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .compute import cuda_driver
from .errors import DeviceError
from .ort import first_line

Floats = NDArray[np.float32]

# onnxruntime tells recordings of a session apart by a number; each of this process has its own.
_NUMBER = "gpu_graph_id"
_numbers = itertools.count(1)


def records(session: onnxruntime.InferenceSession) -> bool:
    """Whether the session's runs are recorded as CUDA graphs."""
    options = session.get_provider_options().get("CUDAExecutionProvider", {})
    return str(options.get("enable_cuda_graph")) == "1"


def recording() -> onnxruntime.RunOptions:
    """Options for the runs of one binding, which are recorded once and replayed from then on.

    They belong to that binding for good: a replay reads and writes the memory that was bound when
    it was recorded. onnxruntime runs the graph a few times before it records it, and records anew
    on another thread.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(_NUMBER, str(next(_numbers)))
    return options


def unrecorded(options: onnxruntime.RunOptions) -> onnxruntime.RunOptions:
    """The options, for a run that is not recorded."""
    options.add_run_config_entry(_NUMBER, "-1")
    return options


def place(values: Floats, index: int) -> onnxruntime.OrtValue:
    """A copy of `values` on CUDA device `index`; `DeviceError` if it does not fit there."""
    try:
        return onnxruntime.OrtValue.ortvalue_from_numpy(values, "cuda", index)
    except Exception as error:  # onnxruntime's exceptions share no other base class
        raise DeviceError(
            f"CUDA device {index} cannot be used ({first_line(error)}); use device cpu"
        ) from error


class Mirror:
    """Tensors on CUDA device `index` for arrays here, `inputs` and `outputs`, by their names.

    The arrays are locked into memory, where the system allows it, so that the device itself can
    copy them. Copies are complete when the calls return; only threads that have run a session on
    the device may `fetch`.
    """

    def __init__(
        self, inputs: Mapping[str, Floats], outputs: Mapping[str, Floats], index: int
    ) -> None:
        self.inputs = {name: place(array, index) for name, array in inputs.items()}
        self.outputs = {name: place(array, index) for name, array in outputs.items()}
        for array in (*inputs.values(), *outputs.values()):
            _lock(array)
        self._sent = [(self.inputs[name], array) for name, array in inputs.items()]
        self._copy = cuda_driver().cuMemcpyDtoH_v2
        self._fetched = [
            (
                ctypes.c_void_p(array.ctypes.data),
                ctypes.c_uint64(self.outputs[name].data_ptr()),
                ctypes.c_size_t(array.nbytes),
            )
            for name, array in outputs.items()
        ]
        self._arrays = list(outputs.values())  # alive, as what is copied to them is by address

    def send(self) -> None:
        """Copy the inputs to the device."""
        for there, here in self._sent:
            there.update_inplace(here)

    def fetch(self) -> None:
        """Copy the outputs here; `DeviceError` if the device has failed."""
        for here, there, size in self._fetched:
            code = self._copy(here, there, size)
            if code != 0:
                raise DeviceError(f"the CUDA device failed (error {code}); use device cpu")


def _lock(array: Floats) -> None:
    """Keep the array's memory from being moved or swapped out, for as long as it lives.

    Of a part the whole array, since the driver refuses copies of memory that is locked in part. It
    also refuses to lock anything twice, which does no harm.
    """
    whole = array if array.base is None else array.base
    driver, address = cuda_driver(), ctypes.c_void_p(whole.ctypes.data)
    if driver.cuMemHostRegister_v2(address, ctypes.c_size_t(whole.nbytes), 0) == 0:
        weakref.finalize(whole, driver.cuMemHostUnregister, address)
