"""A fresh process until its first block is out: imports, the model, a block; and its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from .results import ColdStart
from .settings import Setting

PROCESSES = 5

# One second of blocks is played before the memory is looked at.
_CHILD = """
import sys, time
stamps = [time.perf_counter()]
stamp = lambda: stamps.append(time.perf_counter())
import numpy, onnxruntime
from soloist.benchmarks.settings import Setting, open_processor
from soloist.runtime.bundle import Bundle
from soloist.runtime.queries import baked_conditioning
stamp()
import json
bundle = Bundle.open(sys.argv[1])
setting = Setting(**json.loads(sys.argv[2]))
processor = open_processor(bundle, setting, baked_conditioning(bundle))
rate, block, channels = bundle.spec.sample_rate, setting.block, setting.channels
processor.prepare(rate, block, channels, block=block)
stamp()
audio = numpy.random.default_rng(0).normal(0, 0.1, (block, channels)).astype(numpy.float32)
out = numpy.zeros_like(audio)
processor.process(audio, out)
stamp()
for _ in range(rate // block):
    processor.process(audio, out)
try:
    status = open("/proc/self/status").read()
    memory = int(status.partition("VmRSS:")[2].split()[0]) / 1024
except OSError:
    memory = None
print(json.dumps([*(1000 * (b - a) for a, b in zip(stamps, stamps[1:])), memory]))
"""


def cold_start(
    bundle: Bundle, setting: Setting, tell: Callable[[], object], processes: int = PROCESSES
) -> ColdStart:
    """Start so many processes, one after the other, and one more before, which finds files cold.

    `setting` is complete (`Setting.of`) and of one stream. Raises `SoloistError` where they fail.
    """
    runs = []
    for _ in range(processes + 1):
        runs.append(_run(bundle, setting))
        tell()
    *milliseconds, memory = zip(*runs[1:], strict=True)
    imported, loaded, first = (float(np.median(each)) for each in milliseconds)
    return ColdStart(
        processes=processes,
        imported_ms=imported,
        loaded_ms=loaded,
        first_block_ms=first,
        memory_mb=None if None in memory else float(np.median(memory)),
    )


def _run(bundle: Bundle, setting: Setting) -> list[float]:
    arguments = [str(bundle.path), json.dumps(setting.facts())]
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments], capture_output=True, text=True
    )
    if child.returncode:
        why = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        raise SoloistError(f"a process that plays {bundle.path.name} failed: {why[-1]}")
    found: list[float] = json.loads(child.stdout)
    return found
