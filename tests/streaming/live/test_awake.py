"""Processors kept awake: by loops that every program goes before, no longer than asked."""

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from soloist.streaming.live import awake
from soloist.streaming.live.awake import Awake

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
STARTER = """
import sys, time
from soloist.streaming.live import awake
from pathlib import Path
awake._DRIVER = Path("/nowhere")
kept = awake.Awake()
assert kept.begin()
print(*[each.pid for each in kept._spinning], flush=True)
time.sleep(60)
"""


def spinners(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"sched_setaffinity" in command(int(child))]


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_each_core_has_a_loop_that_everything_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "_DRIVER", Path("/nowhere"))
    kept = Awake()
    try:
        assert kept.begin()
        cores = len(os.sched_getaffinity(0))
        assert until(lambda: len(spinners(os.getpid())) == cores)
        found = spinners(os.getpid())
        assert until(lambda: all(os.sched_getscheduler(pid) == os.SCHED_IDLE for pid in found))
        assert until(lambda: all(len(os.sched_getaffinity(pid)) == 1 for pid in found))
        assert set.union(*(os.sched_getaffinity(pid) for pid in found)) == os.sched_getaffinity(0)
    finally:
        kept.end()
    assert all(gone(pid) for pid in found)
    kept.end()  # again: nothing


def test_no_loop_outlives_who_asked_for_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = [int(word) for word in process.stdout.readline().split()]
    assert found
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert until(lambda: all(gone(pid) for pid in found))


def test_where_the_kernel_has_a_say_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "driver").write_text("intel_idle\n")
    (tmp_path / "limit").touch()
    monkeypatch.setattr(awake, "_DRIVER", tmp_path / "driver")
    monkeypatch.setattr(awake, "_LIMIT", tmp_path / "limit")
    kept = Awake()
    assert kept.begin()
    held = {
        os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _open(name)
    }
    assert str(tmp_path / "limit") in held
    assert struct.unpack("=i", (tmp_path / "limit").read_bytes()) == (0,)
    assert not spinners(os.getpid())
    kept.end()
    monkeypatch.setattr(awake, "_LIMIT", tmp_path / "none" / "limit")
    assert not kept.begin()  # no right to ask


def _open(name: str) -> bool:
    return Path(f"/proc/self/fd/{name}").exists()
