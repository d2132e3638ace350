"""What the system may allow a process that plays, beyond what every program gets."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from pathlib import Path

# <asm-generic/mman.h>; these architectures have other numbers.
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
_OTHERS = ("alpha", "ppc", "sparc")
_CAP_IPC_LOCK = 14  # <linux/capability.h>: no limit holds
# Where JACK has its clients by default, below what drivers have.
_PRIORITY = 5
# Where PipeWire and PulseAudio have their own ordinary threads.
_NICE = -11


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


def take_realtime(*, after_audio: bool = False) -> bool:
    """Run the calling thread before all ordinary ones, where that is permitted; Linux only.

    `after_audio`: but after those that play, which may interrupt it.

    JACK sees to it for its clients' threads, and other systems' sound drivers do, but PortAudio's
    with ALSA are ordinary. A thread that goes before them already stays as it is, and threads that
    it starts are ordinary. So is the main thread, which has other things to do than audio.
    """
    if not sys.platform.startswith("linux"):
        return False
    if threading.get_ident() == threading.main_thread().ident:
        return False
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    if policy in (os.SCHED_FIFO, os.SCHED_RR):
        return True
    try:
        first_come = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, first_come, os.sched_param(_PRIORITY - after_audio))
    except OSError:
        return False
    return True


def go_early() -> bool:
    """Run this thread, and those that it starts, sooner than other programs', where permitted.

    For the ordinary threads of a process that plays: they share the interpreter's lock with the
    audio thread, which waits for as long as one that holds it is put aside. Linux only.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        os.setpriority(os.PRIO_PROCESS, 0, min(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    except OSError:
        return False
    return True


def _unlimited() -> bool:
    import resource

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    status = Path("/proc/self/status").read_text()
    rights = int(status.partition("CapEff:")[2].split()[0], 16)
    return bool(rights >> _CAP_IPC_LOCK & 1)
