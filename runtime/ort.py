"""onnxruntime set up the way a live engine wants it: one thread, no spinning, quiet, and bounded.

Each model passes `admission` before onnxruntime sees it. The memory that graphs ask for while they
run comes from one arena with a limit, so that too much is an error and not the end of the machine;
`run_in_time` bounds the time.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import onnxruntime

from .admission import admit
from .denormals import FlushDenormals
from .errors import BundleError, SoloistError
from .metadata import contents, without_metadata

Result = TypeVar("Result")

ERROR, FATAL = 3, 4
"""Severities of onnxruntime's loggers."""

MEMORY_LIMIT = 1 << 32
"""Bytes that all graphs of this process together may use on the CPU while they run, without their
weights. A hop of the shipped model takes 0.2 MB, ten seconds through a large offline separator some
hundred."""
TRIAL_SECONDS = 20.0
"""Longest a first run may compute: a hundred times what anything live could."""
_PATIENCE = 10
"""How many times as long it may take where the processor is busy with other things."""


def open_cpu(
    model: Path | bytes, *, threads: int = 1, optimise: bool = True, unfold: bool = False
) -> onnxruntime.InferenceSession:
    """Load an ONNX file, or its bytes, on the CPU.

    `unfold` and `threads` as in `session_options`. `optimise=False` is quicker to load, for a
    session that is asked about the graph or run once.
    Raises `BundleError` for what may not be loaded (`admission`) or onnxruntime cannot load.
    """
    what = "a model carried inside" if isinstance(model, bytes) else str(model)
    try:
        return load(model, session_options(threads, optimise, unfold), ["CPUExecutionProvider"])
    except BundleError as error:
        raise BundleError(f"{what}: {error}") from error
    except Exception as error:  # onnxruntime's exceptions share no other base class
        raise BundleError(f"{what} cannot be loaded as ONNX ({first_line(error)})") from error


def load(
    model: Path | bytes, options: onnxruntime.SessionOptions, providers: Sequence[object]
) -> onnxruntime.InferenceSession:
    """An admitted model as a session; whatever `admit` or onnxruntime raise.

    The session may know nothing of the model's metadata: `read_metadata` does.
    """
    found = contents(model)
    admit(found)
    # Of a file by its path onnxruntime would keep the texts three times over, as long as the
    # session; of bytes it keeps these.
    needed = without_metadata(found) or (model if isinstance(model, bytes) else str(model))
    _limit_memory()
    # The first session of a process would switch denormals off for all code on this thread, for
    # good; leaving the context puts the thread back, and `Session.step` flushes for itself.
    with FlushDenormals():
        # without its way to fall back, which prints to standard output
        return onnxruntime.InferenceSession(needed, options, providers=providers, enable_fallback=0)


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

    For the first run of a graph from a stranger. Raises `BundleError` if the graph fails, or makes
    this process compute for longer than `TRIAL_SECONDS`, after which it is stopped between two of
    its nodes.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = FATAL
    done = threading.Event()
    threading.Thread(target=_limit_time, args=(options, done), daemon=True).start()
    try:
        return run(options)
    except SoloistError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no other base class
        late = f"no end within {TRIAL_SECONDS:.0f} s of computing"
        why = late if options.terminate else first_line(error)
        raise BundleError(f"the graph cannot be run ({why}); export the bundle again") from error
    finally:
        done.set()


def _limit_time(options: onnxruntime.RunOptions, done: threading.Event) -> None:
    """Stop a run at its limit, unless it is done before."""
    last = time.process_time() + TRIAL_SECONDS
    latest = time.monotonic() + _PATIENCE * TRIAL_SECONDS
    left = TRIAL_SECONDS
    while not done.wait(left):
        left = min(last - time.process_time(), latest - time.monotonic())
        if left <= 0:
            options.terminate = True
            return


def session_options(
    threads: int = 1, optimise: bool = True, unfold: bool = False
) -> onnxruntime.SessionOptions:
    """Options for live use on any device. `unfold` makes weights in int8 float32 while loading."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # What goes wrong is an exception, and said once.
    options.log_severity_level = FATAL
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not its other format
    options.add_session_config_entry("session.use_env_allocators", "1")  # see _limit_memory
    # Spinning takes a core from the rest of the audio chain and gains nothing a hop can use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    # Where weights are in int8, what they multiply is rounded so, too: level 1 would not, but is
    # fifty times slower.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "4")
    if unfold:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def first_line(error: Exception) -> str:
    """What onnxruntime says, without where in its sources."""
    return str(error).partition("\n")[0][:160]
