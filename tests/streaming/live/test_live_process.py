"""The stream in a process of its own, on a sound system that is a module of thirty lines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from soloist.runtime.errors import DeviceError, DeviceLost, ProcessFault, SoloistError
from soloist.streaming.live import process as module
from soloist.streaming.live.child import telling
from soloist.streaming.live.levels import Levels
from soloist.streaming.live.plan import LivePlan
from soloist.streaming.live.process import LiveProcess
from soloist.streaming.live.report import Page, Report

Start = Callable[..., tuple[LiveProcess, Report]]


@pytest.fixture
def start(plan: LivePlan) -> Iterator[Start]:
    started: list[LiveProcess] = []

    def run() -> tuple[LiveProcess, Report]:
        started.append(LiveProcess())
        return started[-1], started[-1].start(plan)

    yield run
    for process in started:
        process.stop()


def until(process: LiveProcess, holds: Callable[[Levels], bool]) -> Levels:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        levels = process.check().levels
        assert levels is not None
        if holds(levels):
            return levels
        time.sleep(0.01)
    raise AssertionError(f"not in time: {process.report()}")


def opened(process: LiveProcess) -> Report:
    deadline = time.monotonic() + 20
    while (report := process.opened()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return report


def test_plays_and_tells(start: Start) -> None:
    process, report = start()
    assert report.wiring is not None and report.latency is not None
    assert (report.wiring.source, report.wiring.provider) == ("desk, Fake", "cpu")
    assert report.latency.processing.total == 128
    levels = until(process, lambda levels: abs(levels.output.peak - 0.25) < 1e-3)
    assert levels.input.peak == 0.5
    stem, rest = levels.stems
    assert (stem.peak, rest.peak) == pytest.approx((0.25, 0.25), abs=1e-3)
    last = process.stop()
    assert last.stage == "ended"
    assert last.counters is not None and last.counters.hops > 0
    assert process.stop() == last  # again: nothing happens


def test_two_devices_are_bridged(plan: LivePlan) -> None:
    import dataclasses

    with LiveProcess() as process:
        report = process.start(dataclasses.replace(plan, input_device="mic", latency=0.5))
        assert report.latency is not None
        assert dict(report.latency.whole.parts)["clock bridge"] == 128 + 24_000
        until(process, lambda levels: abs(levels.output.peak - 0.25) < 1e-3)


def test_orders_reach_the_processor(start: Start) -> None:
    process, _ = start()
    process.set({"bypass": 1.0})
    until(process, lambda levels: levels.output.peak == pytest.approx(0.5, abs=1e-4))
    process.set({"bypass": 0.0, "stem1.gain": -6.0206})
    until(process, lambda levels: levels.output.peak == pytest.approx(0.125, abs=1e-4))
    process.set_conditioning(np.full((1, 8), -100.0, np.float32))
    until(process, lambda levels: levels.output.peak < 1e-3)


def test_an_order_that_cannot_be_carried_out_is_told(start: Start) -> None:
    process, _ = start()
    process.set({"pan": 0.0})
    with pytest.raises(ProcessFault, match="a fault of ours, ValueError: no parameter 'pan'"):
        until(process, lambda _: False)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"input_device": "theremin"}, DeviceError, "no input device matches 'theremin'"),
        ({"model": "no such.onnx"}, SoloistError, "no model 'no such.onnx'"),
        ({"state": {"pan": 1.0}}, ProcessFault, "no parameter 'pan'"),
    ],
)
def test_what_keeps_it_from_starting_is_raised_here(
    plan: LivePlan, change: dict[str, Any], kind: type[SoloistError], said: str
) -> None:
    import dataclasses

    with LiveProcess() as process, pytest.raises(kind, match=said) as caught:
        process.start(dataclasses.replace(plan, **change))
    assert type(caught.value) is kind or kind is SoloistError


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGKILL, "ended .signal 9."), (signal.SIGSTOP, "has said nothing for")],
    ids=["KILL", "STOP"],
)
def test_a_process_that_went_away_is_noticed(
    start: Start, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    monkeypatch.setattr(module, "_SILENT_LIMIT_S", 0.5)
    monkeypatch.setattr(module, "_STOP_LIMIT_S", 0.2)
    process, _ = start()
    process.check()
    os.kill(process._process.pid, number)
    with pytest.raises(DeviceLost, match=said):
        until(process, lambda _: False)
    assert process.stop().stage == "running"  # what it said last
    assert process._process.poll() is not None


@pytest.mark.parametrize(("share", "opens"), [(0.02, True), (0.001, False)])
def test_what_computes_may_take_its_time_to_start(
    monkeypatch: pytest.MonkeyPatch, share: float, opens: bool
) -> None:
    """A start of a minute, of which the process gets this share to compute."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def report(self: LiveProcess) -> Report:
        return Report("running" if now > 60 else "starting", computed_s=share * now)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    monkeypatch.setattr(LiveProcess, "report", report)
    with LiveProcess() as process:
        if opens:
            assert process.start(LivePlan("model")).stage == "running"
            return
        with pytest.raises(DeviceLost, match="did not open within 20 s"):
            process.start(LivePlan("model"))
        assert now == pytest.approx(20, abs=0.1)


def test_what_is_computed_at_the_start_is_told() -> None:
    page = Page.create()
    with telling(page):
        deadline = time.monotonic() + 60
        while (report := page.read()).computed_s == 0 and time.monotonic() < deadline:
            pass
    assert report.stage == "starting"
    assert 0 < report.computed_s <= time.process_time()
    page.write(Report("running"))
    time.sleep(0.6)  # nobody tells any more
    assert page.read().stage == "running"
    page.remove()


def test_it_starts_again(start: Start, plan: LivePlan) -> None:
    process, first = start()
    os.kill(process._process.pid, signal.SIGKILL)
    process.begin_again(plan)
    assert opened(process).latency == first.latency
    until(process, lambda levels: abs(levels.output.peak - 0.25) < 1e-3)


# Nothing is there until a file is, and until somebody looks anew.
UNPLUGGED = """
from pathlib import Path

_plugged, _query = False, query_devices

def _initialize():
    global _plugged
    _plugged = Path(__file__).with_name("plugged").exists()

def _terminate():
    pass

def query_devices(kind=None):
    if not _plugged and kind:
        raise ValueError("no device")
    return _query(kind) if _plugged else []
"""


def test_devices_that_are_away_are_waited_for(plan: LivePlan, tmp_path: Path) -> None:
    """Where devices were there before; and what is ordered meanwhile holds."""
    with (tmp_path / "sounddevice.py").open("a") as system:
        system.write(UNPLUGGED)
    with LiveProcess() as process:
        with pytest.raises(DeviceError, match="no input device found"):
            process.start(plan)
        process.begin_again(plan.resumed(Report("running")))
        child = process._process
        process.set({"bypass": 1.0})
        number = process._page.number
        deadline = time.monotonic() + 20
        while process._page.number < number + 8:  # two looks
            assert process.opened() is None and time.monotonic() < deadline
            time.sleep(0.01)
        (tmp_path / "plugged").touch()
        opened(process)
        assert process._process is child
        until(process, lambda levels: levels.output.peak == pytest.approx(0.5, abs=1e-4))


def test_nobody_has_to_wait(plan: LivePlan, tmp_path: Path) -> None:
    with (tmp_path / "sounddevice.py").open("a") as system:
        system.write(UNPLUGGED)
    process = LiveProcess()
    process.begin_again(plan.resumed(Report("running")))
    number, deadline = process._page.number, time.monotonic() + 20
    while process._page.number == number and time.monotonic() < deadline:
        assert process.opened() is None
        time.sleep(0.01)
    assert process.stop().stage == "ended"
    assert process._process.returncode == 0


def test_it_does_not_outlive_its_parent(plan: LivePlan) -> None:
    program = (
        "import pickle, sys, time\n"
        "from soloist.streaming.live.process import LiveProcess\n"
        "process = LiveProcess()\n"
        "process.start(pickle.load(sys.stdin.buffer))\n"
        "print(process._process.pid, process._page.path, flush=True)\n"
        "time.sleep(60)\n"
    )
    import pickle

    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None and parent.stdout is not None
    pickle.dump(plan, parent.stdin)
    parent.stdin.close()
    pid, page = parent.stdout.readline().split(maxsplit=1)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{int(pid)}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{int(pid)}").exists()
    Path(page.decode().strip()).unlink(missing_ok=True)


def test_a_page_shows_whole_reports_only() -> None:
    """One process writes as fast as it can, this one reads; what lies between two is none."""
    page = Page.create()
    program = (
        "import sys; from pathlib import Path\n"
        "from soloist.streaming.live.report import Page, Report\n"
        "page = Page(Path(sys.argv[1]))\n"
        "for n in range(20000):\n"
        "    page.write(Report('running', fault=f'{n},' * (1 + n % 500)))\n"
        "page.write(Report('ended'))\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(page.path)])
    numbers = [0]
    while (report := page.read()).stage != "ended":
        assert writer.poll() in (None, 0)
        if len(numbers) > 1:
            assert report.stage == "running"
        if report.stage == "running":
            text, _, _ = report.fault.partition(",")
            number = int(text)
            assert report.fault == f"{text}," * (1 + number % 500)
            assert number >= numbers[-1]
            numbers.append(number)
    assert writer.wait() == 0
    page.remove()
    assert not page.path.exists()
    assert len(set(numbers)) > 10


@pytest.mark.parametrize("at", [3, 9, 13, 40], ids=["number", "length", "checksum", "report"])
def test_a_writer_that_ended_in_the_middle(at: int) -> None:
    """What was whole last stands, and the next writer's report is read."""
    page = Page.create()
    reader = Page(page.path)
    page.write(Report("running", fault="before"))
    assert reader.read().fault == "before"
    with page.path.open("r+b") as file:
        file.seek(at)
        file.write(b"\x7f")
    assert reader.read().fault == "before"
    Page(page.path).write(Report("running", fault="after"))
    assert reader.read().fault == "after"
    page.remove()


def test_a_report_that_is_too_long_leaves_the_page_as_it_was() -> None:
    page = Page.create()
    page.write(Report("running", fault="before"))
    with pytest.raises((IndexError, ValueError)):
        page.write(Report("running", fault="x" * (1 << 21)))
    assert page.read().fault == "before"
    page.remove()
