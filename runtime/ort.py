"""onnxruntime set up the way a live engine wants it: one thread, no spinning, quiet."""

import contextlib
import ctypes
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from .denormals import FlushDenormals
from .errors import BundleError, DeviceError

_ERROR, _FATAL = 3, 4  # severities of onnxruntime's loggers


def open_cpu(
    model: Path | bytes, *, threads: int = 1, optimise: bool = True
) -> onnxruntime.InferenceSession:
    """Load an ONNX file, or its bytes, on the CPU.

    `optimise=False` is quicker to load, for a session that is asked about the graph or run once.
    Raises `BundleError` for what onnxruntime cannot load.
    """
    try:
        return _load(model, _options(threads, optimise), ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no other base class
        what = "a model carried inside" if isinstance(model, bytes) else str(model)
        raise BundleError(f"{what} cannot be loaded as ONNX ({_first_line(error)})") from error


def open_for(
    model: Path, device: str, *, threads: int = 1
) -> tuple[onnxruntime.InferenceSession, str]:
    """Load an ONNX file on the device asked for; the session, and where it is.

    `device` is "cpu", "cuda", "cuda:<index>" or "auto"; the second result "cpu" or "cuda:<index>".
    Raises `DeviceError` for a device that is unknown or not there; "auto" takes the CPU then.
    """
    kind, _, index = device.partition(":")
    if device not in ("auto", "cpu") and not (kind == "cuda" and (index or "0").isdecimal()):
        raise DeviceError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:<index>")
    if kind == "cuda":
        return _open_cuda(model, int(index or 0)), f"cuda:{int(index or 0)}"
    if device == "auto":
        with contextlib.suppress(DeviceError):
            return _open_cuda(model, 0), "cuda:0"
    return open_cpu(model, threads=threads), "cpu"


def count_cuda_devices() -> int:
    """Number of CUDA devices: 0 without onnxruntime's CUDA provider, driver or GPU.

    Asks the driver itself: asked for CUDA where there is none, onnxruntime prints errors.
    """
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return 0
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except OSError:
        return 0
    return count.value


def _open_cuda(model: Path, index: int) -> onnxruntime.InferenceSession:
    count = count_cuda_devices()
    if index >= count:
        raise DeviceError(
            f"no CUDA device {index}: onnxruntime can use {count} here; use device cpu or auto"
        )
    _preload_cuda_libraries()
    providers = [("CUDAExecutionProvider", {"device_id": index}), "CPUExecutionProvider"]
    # Whatever is missing is said below; the loggers would say it on standard error first.
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        session = _load(model, _options(threads=1, optimise=True), providers)
    except Exception as error:
        raise DeviceError(
            f"CUDA device {index} cannot run the model ({_first_line(error)}); use device cpu"
        ) from error
    finally:
        onnxruntime.set_default_logger_severity(_ERROR)
    if "CUDAExecutionProvider" not in session.get_providers():
        raise DeviceError(
            "onnxruntime cannot load its CUDA libraries (CUDA and cuDNN); "
            'use device cpu, or: pip install "soloist[cuda]"'
        )
    return session


def _load(
    model: Path | bytes, options: onnxruntime.SessionOptions, providers: Sequence[object]
) -> onnxruntime.InferenceSession:
    # The first session of a process would switch denormals off for all code on this thread, for
    # good; leaving the context puts the thread back, and `Session.step` flushes for itself.
    with FlushDenormals():
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=providers,
            enable_fallback=0,  # it prints to standard output
        )


def _options(threads: int, optimise: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERROR
    # Spinning takes a core from the rest of the audio chain and gains nothing a hop can use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _preload_cuda_libraries() -> None:
    """Find the CUDA libraries that `soloist[cuda]` installs as Python packages, if it did."""
    preload = getattr(onnxruntime, "preload_dlls", None)  # from 1.21 on
    if preload is not None:
        with contextlib.redirect_stdout(io.StringIO()):  # standard output is for data
            preload()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:160]
