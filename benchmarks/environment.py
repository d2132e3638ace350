"""On what a figure was measured; without it, it says nothing."""

import os
import platform
from pathlib import Path

import numpy as np
import onnxruntime

from .. import __version__


def environment() -> dict[str, object]:
    """Machine, versions and load as plain values for JSON."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "governor": _governor(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "soloist": __version__,
    }


def environment_line(found: dict[str, object]) -> str:
    """The same for people, on one line."""
    return (
        "{cpu}, {cores} cores, governor {governor}, load {load}; {system}; Python {python}, "
        "numpy {numpy}, onnxruntime {onnxruntime}, soloist {soloist}"
    ).format_map(found)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown CPU"


def _governor() -> str:
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return "unknown"
