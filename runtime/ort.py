"""onnxruntime set up the way a live engine wants it: one thread, no spinning, quiet, and bounded.

Each model passes `admission` before onnxruntime sees it. The memory that graphs ask for while they
run comes from one arena with a limit, so that too much is an error and not the end of the machine;
`run_in_time` bounds the time.
"""

import contextlib
import ctypes
import io
import mmap
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import onnxruntime

from .admission import admit, check_file_size
from .denormals import FlushDenormals
from .errors import BundleError, DeviceError

Result = TypeVar("Result")

_ERROR, _FATAL = 3, 4  # severities of onnxruntime's loggers

MEMORY_LIMIT = 1 << 32
"""Bytes that all graphs of this process together may use on the CPU while they run, without their
weights. A hop of the shipped model takes 0.2 MB, ten seconds through a large offline separator some
hundred."""
TRIAL_SECONDS = 20.0
"""Longest a first run may take: a hundred times what anything live could."""


def open_cpu(
    model: Path | bytes, *, threads: int = 1, optimise: bool = True
) -> onnxruntime.InferenceSession:
    """Load an ONNX file, or its bytes, on the CPU.

    `optimise=False` is quicker to load, for a session that is asked about the graph or run once.
    Raises `BundleError` for what may not be loaded (`admission`) or onnxruntime cannot load.
    """
    what = "a model carried inside" if isinstance(model, bytes) else str(model)
    try:
        return _load(model, _options(threads, optimise), ["CPUExecutionProvider"])
    except BundleError as error:
        raise BundleError(f"{what}: {error}") from error
    except Exception as error:  # onnxruntime's exceptions share no other base class
        raise BundleError(f"{what} cannot be loaded as ONNX ({_first_line(error)})") from error


def open_for(
    model: Path, device: str, *, threads: int = 1
) -> tuple[onnxruntime.InferenceSession, str]:
    """Load an ONNX file on the device asked for; the session, and where it is.

    `device` is "cpu", "cuda", "cuda:<index>" or "auto"; the second result "cpu" or "cuda:<index>".
    Raises `DeviceError` for a device that is unknown or not there; "auto" takes the CPU then.
    Raises `BundleError` as `open_cpu` does.
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
    except BundleError as error:
        raise BundleError(f"{model}: {error}") from error
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
    admit(memoryview(model) if isinstance(model, bytes) else _view(model))
    _limit_memory()
    # The first session of a process would switch denormals off for all code on this thread, for
    # good; leaving the context puts the thread back, and `Session.step` flushes for itself.
    with FlushDenormals():
        return onnxruntime.InferenceSession(
            # By its path: onnxruntime would keep the bytes as long as the session.
            model if isinstance(model, bytes) else str(model),
            options,
            providers=providers,
            enable_fallback=0,  # it prints to standard output
        )


def _view(path: Path) -> memoryview:
    """The file's content without a copy of it: freed, that would stay with the process."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            check_file_size(size)
            # Closed by itself with the last view of it.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            return memoryview(mapped)
    except OSError as error:
        raise BundleError(f"the file cannot be read: {error.strerror or error}") from error


@cache
def _limit_memory() -> None:
    """Make the arena that all sessions of this process share."""
    kind, default = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, default)
    # The other figures are onnxruntime's usual ones.
    arena = onnxruntime.OrtArenaCfg(MEMORY_LIMIT, -1, -1, -1)
    # Another part of the program may have made one: then that is everybody's.
    with contextlib.suppress(Exception):
        onnxruntime.create_and_register_allocator(memory, arena)


def run_in_time(run: Callable[[onnxruntime.RunOptions], Result]) -> Result:
    """What `run(options)`, which is to run a session once with these options, returns.

    For the first run of a graph from a stranger. Raises `BundleError` if the graph fails or takes
    longer than `TRIAL_SECONDS`, after which it is stopped between two of its nodes.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL
    timer = threading.Timer(TRIAL_SECONDS, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        return run(options)
    except Exception as error:  # onnxruntime's exceptions share no other base class
        why = f"no end within {TRIAL_SECONDS:.0f} s" if options.terminate else _first_line(error)
        raise BundleError(f"the graph cannot be run ({why}); export the bundle again") from error
    finally:
        timer.cancel()


def _options(threads: int, optimise: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # What goes wrong is an exception, and said once.
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not its other format
    options.add_session_config_entry("session.use_env_allocators", "1")  # see _limit_memory
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
