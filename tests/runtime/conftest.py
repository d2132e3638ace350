"""CUDA as far as it can be had without a GPU."""

import ctypes
import threading
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from soloist.runtime import compute, cuda

Floats = NDArray[np.float32]


@pytest.fixture
def a_gpu() -> None:
    """Skips where onnxruntime cannot use a CUDA device."""
    if compute.count_cuda_devices() == 0:
        pytest.skip("no CUDA device that onnxruntime can use")


class FakeDriver:
    """The driver's calls that are made, where the device's memory is the host's."""

    def __init__(self) -> None:
        self.locked: dict[int, int] = {}
        self.runs: list[tuple[int, str]] = []  # the thread, and the recording's number
        self.opened: list[str] = []  # the devices asked for

    def cuMemHostRegister_v2(self, address: Any, size: Any, flags: int) -> int:
        if address.value in self.locked:
            return 712  # CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
        self.locked[address.value] = size.value
        return flags

    def cuMemHostUnregister(self, address: Any) -> int:
        del self.locked[address.value]
        return 0

    def cuMemcpyDtoH_v2(self, here: Any, there: Any, size: Any) -> int:
        ctypes.memmove(here.value, there.value, size.value)
        return 0


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """CUDA networks that compute on the CPU: all of our part is as on a GPU, none of CUDA's."""
    driver = FakeDriver()
    on_cpu = compute.open_for
    numbers: dict[tuple[int, str], list[dict[str, int]]] = {}

    class Recorder(onnxruntime.InferenceSession):  # type: ignore[misc]  # it has no types
        def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
            number = options.get_run_config_entry("gpu_graph_id")
            driver.runs.append((threading.get_ident(), number))
            if number != "-1":  # what was recorded would go on with the memory of that time
                bound = [binding._bound_inputs, binding._bound_outputs]
                memory = [{n: v.data_ptr() for n, v in each.items()} for each in bound]
                assert numbers.setdefault((id(self), number), memory) == memory
            super().run_with_iobinding(binding, options)

    def open_for(path: Any, device: str, **options: Any) -> tuple[Any, str]:
        driver.opened.append(device)
        if device == "cpu":
            return on_cpu(path, device, **options)
        return Recorder(str(path), providers=["CPUExecutionProvider"]), "cuda:0"

    def place(values: Floats, index: int) -> onnxruntime.OrtValue:
        assert index == 0
        return onnxruntime.OrtValue.ortvalue_from_numpy(values.copy())

    monkeypatch.setattr(compute, "open_for", open_for)
    monkeypatch.setattr(cuda, "cuda_driver", lambda: driver)
    monkeypatch.setattr(cuda, "records", lambda session: True)
    monkeypatch.setattr(cuda, "place", place)
    return driver
