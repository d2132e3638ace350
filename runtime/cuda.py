"""A hop on a GPU: what goes there and comes back, and runs that are recorded once and replayed.

Written by onnxruntime's and CUDA's documentation; never run so far, no GPU was at hand.
"""

import ctypes
import weakref

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .compute import cuda_driver
from .errors import DeviceError
from .ort import first_line

Floats = NDArray[np.float32]

NOT_RECORDED = "-1"


def records(session: onnxruntime.InferenceSession) -> bool:
    """Whether the session's runs are recorded as CUDA graphs."""
    options = session.get_provider_options().get("CUDAExecutionProvider", {})
    return str(options.get("enable_cuda_graph")) == "1"


def recording(number: int | str) -> onnxruntime.RunOptions:
    """Options for runs that are recorded under this number and replayed from then on.

    A number belongs to one binding for good: a replay reads and writes the memory that was bound
    when it was recorded. onnxruntime runs the graph a few times before it records it, and records
    anew on another thread.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
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
    """A spectrum and stems on CUDA device `index`, for the arrays of the same names here.

    The arrays are locked into memory, where the system allows it, so that the device itself can
    copy them. Copies are complete when the calls return; only threads that have run a session on
    the device may `fetch`.
    """

    def __init__(self, spectrum: Floats, stems: Floats, index: int) -> None:
        self.spectrum, self.stems = place(spectrum, index), place(stems, index)
        self._here = spectrum
        for array in (spectrum, stems):
            _lock(array)
        self._copy = cuda_driver().cuMemcpyDtoH_v2
        self._stems_here = ctypes.c_void_p(stems.ctypes.data)
        self._stems_there = ctypes.c_uint64(self.stems.data_ptr())
        self._size = ctypes.c_size_t(stems.nbytes)

    def send(self) -> None:
        """Copy the spectrum to the device."""
        self.spectrum.update_inplace(self._here)

    def fetch(self) -> None:
        """Copy the stems here; `DeviceError` if the device has failed."""
        code = self._copy(self._stems_here, self._stems_there, self._size)
        if code != 0:
            raise DeviceError(f"the CUDA device failed (error {code}); use device cpu")


def _lock(array: Floats) -> None:
    """Keep the array's memory from being moved or swapped out, for as long as it lives."""
    driver, address = cuda_driver(), ctypes.c_void_p(array.ctypes.data)
    if driver.cuMemHostRegister_v2(address, ctypes.c_size_t(array.nbytes), 0) == 0:
        weakref.finalize(array, driver.cuMemHostUnregister, address)
