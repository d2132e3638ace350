"""On what a figure was measured; without it, it says nothing."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import __version__


def environment() -> dict[str, object]:
    """Machine, versions and load as plain values for JSON."""
    import onnxruntime  # late: those who ask for the machine alone do without it

    return {
        **machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "soloist": __version__,
    }


def machine() -> dict[str, object]:
    """The machine and its load as plain values."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "governor": _governor(),
        "load": _load(),
        "system": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "virtual_machine": _virtual(),
        "memory_gb": _memory_gb(),
        "scheduling": _scheduling(),
    }


def watch() -> Callable[[], dict[str, object]]:
    """Begin to watch the machine; what is returned says how busy it was since then.

    `load_after`, and where the system counts it the share of all cores' time that others used up
    (`busy`), this process in it, and that the hypervisor gave away (`steal`).
    """
    before = _ticks()

    def since() -> dict[str, object]:
        found: dict[str, object] = {"load_after": _load()}
        after = _ticks()
        if before and after and sum(after) > sum(before):
            spent = np.subtract(after, before)
            shares = spent / spent.sum()
            found["busy"] = round(float(1 - shares[3] - shares[4]), 3)
            found["steal"] = round(float(shares[7]), 4)
        return found

    return since


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
    """Of all cores: they may have several."""
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    try:
        return ", ".join(sorted({file.read_text().strip() for file in files})) or "unknown"
    except OSError:
        return "unknown"


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _ticks() -> list[int] | None:
    """Ticks of all cores: user, nice, system, idle, iowait, irq, softirq, steal (proc(5))."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return None
    return [int(ticks) for ticks in first.split()[1:9]]


def _virtual() -> bool | None:
    try:
        return " hypervisor" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return None


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # no such figure, as on Windows
        return None


def _scheduling() -> str | None:
    if not hasattr(os, "sched_getscheduler"):
        return None
    policies = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}
    return policies.get(os.sched_getscheduler(0), "another")
