"""What the system may allow a process that plays, beyond what every program gets."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path

# <asm-generic/mman.h>; these architectures have other numbers.
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
_OTHERS = ("alpha", "ppc", "sparc")
_CAP_IPC_LOCK = 14  # <linux/capability.h>: no limit holds


def lock_memory() -> bool:
    """Keep the memory of this process from being swapped out, where that is permitted.

    A page that comes back from a disk takes longer than a block lasts. Linux only, and mostly where
    the limit of locked memory is "unlimited" (docs/live.md says how): below it what is there now is
    locked if it fits, and not what comes, for then memory would be refused at the limit. Pages are
    locked as they are used, so that the process stays as small as it is.
    """
    if not sys.platform.startswith("linux") or platform.machine().startswith(_OTHERS):
        return False
    flags = _CURRENT | _ON_FAULT | (_FUTURE if _unlimited() else 0)
    return int(ctypes.CDLL(None).mlockall(flags)) == 0


def _unlimited() -> bool:
    import resource

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    status = Path("/proc/self/status").read_text()
    rights = int(status.partition("CapEff:")[2].split()[0], 16)
    return bool(rights >> _CAP_IPC_LOCK & 1)
