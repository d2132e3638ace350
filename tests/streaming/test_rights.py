"""Memory is locked and a thread goes first where that is permitted, and else all is left alone."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0,
    reason="Linux locks so, and only root may change what is permitted",
)

PROGRAM = """
import os, resource, sys
from soloist.streaming.rights import lock_memory
{before}
locked = lock_memory()
more = bytearray(64 << 20)
for start in range(0, len(more), 4096):
    more[start] = 1
status = open("/proc/self/status").read()
print(locked, status.partition("VmLck:")[2].split()[0])
"""


def run(before: str) -> tuple[bool, int]:
    """Whether it said to have locked its memory, and how many kB the kernel says are locked."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)], capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip("this root may not")
    assert done.returncode == 0, done.stderr
    locked, size = done.stdout.split()
    return locked == "True", int(size)


@pytest.mark.parametrize(
    "before",
    [
        # As one whom docs/live.md helped: anybody, without a limit.
        "try: resource.setrlimit(resource.RLIMIT_MEMLOCK, (-1, -1))\n"
        "except ValueError: sys.exit(77)\n"
        "os.setgid(65534); os.setuid(65534)",
        "status = open('/proc/self/status').read()\n"
        "if not int(status.partition('CapEff:')[2].split()[0], 16) >> 14 & 1: sys.exit(77)",
    ],
    ids=["no limit", "root"],
)
def test_what_comes_later_is_locked_as_well(before: str) -> None:
    locked, size = run(before)
    assert locked
    assert size > 64 << 10


def test_a_limit_takes_no_memory_away() -> None:
    """A small limit locks nothing, and what is asked for later is given."""
    limit = "resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 20, 1 << 20))\n"
    assert run(f"{limit}os.setgid(65534); os.setuid(65534)") == (False, 0)


NICE = """
import os, resource, sys, threading
from soloist.streaming.rights import go_early
{before}
said = [go_early(), os.getpriority(os.PRIO_PROCESS, 0)]
inner = threading.Thread(target=lambda: said.append(os.getpriority(os.PRIO_PROCESS, 0)))
inner.start(); inner.join()
print(*said)
"""


OWN = os.getpriority(os.PRIO_PROCESS, 0)  # a suite may be run behind other work


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("", "True -11 -11"),
        ("os.setpriority(os.PRIO_PROCESS, 0, -15)", "True -15 -15"),
        (
            "resource.setrlimit(resource.RLIMIT_NICE, (0, 0))\nos.setuid(65534)",
            f"False {OWN} {OWN}",
        ),
    ],
    ids=["root", "sooner already", "no right"],
)
def test_all_threads_go_early_where_permitted(before: str, wanted: str) -> None:
    may = "import os; os.setpriority(os.PRIO_PROCESS, 0, -15)"
    if (
        wanted[0] == "T"
        and subprocess.run([sys.executable, "-c", may], capture_output=True).returncode
    ):
        pytest.skip("this root may not")
    done = subprocess.run(
        [sys.executable, "-c", NICE.format(before=before)], capture_output=True, text=True
    )
    assert done.stdout.strip() == wanted, done.stderr


THREADS = """
import os, resource, sys, threading
from soloist.streaming.rights import take_realtime
{before}
said = []
def run():
    said.append(take_realtime())
    said.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO)
    inner = threading.Thread(target=lambda: said.append(os.sched_getscheduler(0) == os.SCHED_OTHER))
    inner.start(); inner.join()
def second():
    take_realtime(after_audio=True)
    said.append(os.sched_getparam(0).sched_priority < {least})
thread = threading.Thread(target=run)
thread.start(); thread.join()
thread = threading.Thread(target=second)
thread.start(); thread.join()
print(*said, take_realtime(), os.sched_getscheduler(0) == os.SCHED_OTHER)
"""


@pytest.mark.parametrize(
    ("before", "granted"),
    [
        ("", True),
        (
            "resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))\n"
            "os.setgid(65534); os.setuid(65534)",
            False,
        ),
    ],
    ids=["root", "no right"],
)
def test_one_thread_goes_first_where_permitted(before: str, granted: bool) -> None:
    """Neither those that it starts nor the main thread; one that says so after those of audio."""
    may = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    if granted and subprocess.run([sys.executable, "-c", may], capture_output=True).returncode:
        pytest.skip("this root may not")
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(before=before, least=5)],
        capture_output=True,
        text=True,
    )
    expected = [str(granted), str(granted), "True", "True", "False", "True"]
    assert done.stdout.split() == expected, done.stderr
