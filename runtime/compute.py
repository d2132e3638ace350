"""Where networks run: the CPU, a CUDA device, or by a provider of another maker; as there is."""

import contextlib
import ctypes
import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime

from .errors import BundleError, DeviceError, SoloistError
from .ort import ERROR, FATAL, first_line, load, open_cpu, session_options

OTHERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""Devices by onnxruntime's providers for them, which some builds of it have."""


def open_for(
    model: Path, device: str, *, threads: int = 1, graphs: bool = False, unfold: bool = False
) -> tuple[onnxruntime.InferenceSession, str]:
    """Load an ONNX file on the device asked for; the session, and where it is.

    `device` is "cpu", "cuda", "cuda:<index>", one of `OTHERS` or "auto"; the second result the same
    with an index, but "auto". What runs by one of `OTHERS` keeps its inputs and outputs here.
    `graphs`: on CUDA its runs are to be recorded and replayed, if the model allows it.
    `unfold`: weights in int8 become float32 while they are loaded, on the CPU too.
    Raises `DeviceError` for a device that is unknown or not there; "auto" takes the CPU then.
    Raises `BundleError` as `open_cpu` does.
    """
    kind, _, index = device.partition(":")
    known = device in ("auto", "cpu", *OTHERS) or (kind == "cuda" and (index or "0").isdecimal())
    if not known:
        raise DeviceError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:<index>")
    if device in OTHERS:
        return _open_other(model, device, threads), device
    if kind == "cuda":
        return _open_cuda(model, int(index or 0), graphs), f"cuda:{int(index or 0)}"
    if device == "auto":
        with contextlib.suppress(DeviceError):
            return _open_cuda(model, 0, graphs), "cuda:0"
    return open_cpu(model, threads=threads, unfold=unfold), "cpu"


def start_on(
    model: Path,
    device: str,
    start: Callable[[onnxruntime.InferenceSession, str], None],
    **options: Any,
) -> None:
    """Load an ONNX file as `open_for` does, and `start` it: "auto" takes the CPU if that fails."""
    session, provider = open_for(model, device, **options)
    try:
        start(session, provider)
    except SoloistError:
        if device != "auto" or provider == "cpu":
            raise
        start(*open_for(model, "cpu", **options))


def count_cuda_devices() -> int:
    """Number of CUDA devices: 0 without onnxruntime's CUDA provider, driver or GPU.

    Asks the driver itself: asked for CUDA where there is none, onnxruntime prints errors.
    """
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return 0
    count = ctypes.c_int(0)
    try:
        driver = cuda_driver()
    except OSError:
        return 0
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


@cache
def cuda_driver() -> ctypes.CDLL:
    """The driver's own library; `OSError` where there is none."""
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def _open_cuda(model: Path, index: int, graphs: bool) -> onnxruntime.InferenceSession:
    count = count_cuda_devices()
    if index >= count:
        raise DeviceError(
            f"no CUDA device {index}: onnxruntime can use {count} here; use device cpu or auto"
        )
    _preload_cuda_libraries()
    # Whatever is missing is said below; the loggers would say it on standard error first.
    onnxruntime.set_default_logger_severity(FATAL)
    try:
        try:
            session = _load_on_cuda(model, index, graphs)
        except BundleError:
            raise
        except Exception:
            if not graphs:
                raise
            # A graph with some node on the CPU cannot be recorded.
            session = _load_on_cuda(model, index, False)
    except BundleError as error:
        raise BundleError(f"{model}: {error}") from error
    except Exception as error:
        raise DeviceError(
            f"CUDA device {index} cannot run the model ({first_line(error)}); use device cpu"
        ) from error
    finally:
        onnxruntime.set_default_logger_severity(ERROR)
    if "CUDAExecutionProvider" not in session.get_providers():
        raise DeviceError(
            "onnxruntime cannot load its CUDA libraries (CUDA and cuDNN); "
            'use device cpu, or: pip install "soloist[cuda]"'
        )
    return session


def _open_other(model: Path, device: str, threads: int) -> onnxruntime.InferenceSession:
    """By a provider that has the system's or its maker's libraries below it, if they are there."""
    provider = OTHERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"this onnxruntime was built without {provider}; use device cpu or auto, or install a "
            "build that has it"
        )
    options = session_options(threads, unfold=True)
    options.enable_mem_pattern = False  # DirectML cannot with it
    onnxruntime.set_default_logger_severity(FATAL)
    try:
        session = load(model, options, [provider, "CPUExecutionProvider"])
    except BundleError as error:
        raise BundleError(f"{model}: {error}") from error
    except Exception as error:
        # Before the last bracket there is only where in its sources.
        said = str(error).partition("\n")[0].rpartition(") ")[2]
        raise DeviceError(f"{device} cannot run the model ({said:.160}); use device cpu") from error
    finally:
        onnxruntime.set_default_logger_severity(ERROR)
    if provider not in session.get_providers():
        raise DeviceError(f"onnxruntime cannot load the libraries of {device}; use device cpu")
    return session


def _load_on_cuda(model: Path, index: int, graphs: bool) -> onnxruntime.InferenceSession:
    options = session_options(unfold=True)  # only the CPU multiplies by int8 weights as they are
    # TensorFloat-32 would round what is multiplied to 10 bits.
    cuda = {"device_id": index, "use_tf32": 0, "enable_cuda_graph": int(graphs)}
    return load(model, options, [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"])


def _preload_cuda_libraries() -> None:
    """Find the CUDA libraries that `soloist[cuda]` installs as Python packages, if it did."""
    with contextlib.redirect_stdout(io.StringIO()):  # standard output is for data
        onnxruntime.preload_dlls()
