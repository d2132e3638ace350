"""`soloist diagnostics` tells what there is, whatever else is broken."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import soloist as package
from soloist.app import diagnostics as module
from soloist.app.live import last_session, sound_system
from soloist.runtime.errors import DeviceError, DeviceLost
from soloist.streaming.counters import Counters
from soloist.streaming.latency import Latency
from soloist.streaming.live.budget import LatencyBudget
from soloist.streaming.live.meters import MeterBoard
from soloist.streaming.live.report import Report, Wiring

Run = Callable[..., Any]

DESK = {
    "index": 0,
    "name": "desk",
    "host_api": "Fake",
    "input_channels": 2,
    "output_channels": 0,
    "sample_rate": 44100.0,
    "default_input": True,
    "default_output": False,
}
SYSTEM = {"sounddevice": "1", "portaudio": "V19", "host_apis": ["Fake"], "devices": [DESK]}


@pytest.fixture(autouse=True)
def session_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of each test's own; and a sound system that is not this machine's."""
    monkeypatch.setattr(last_session, "path", lambda: tmp_path / "user" / "last.json")
    monkeypatch.setattr(sound_system, "ask", lambda: SYSTEM)
    return tmp_path / "user" / "last.json"


def test_it_tells_what_there_is(soloist: Run) -> None:
    result = soloist("diagnostics", "--json")
    assert result.code == 0
    found = json.loads(result.out)
    assert [*found] == [*module.PARTS, "problems"]
    assert found["software"]["soloist"] == package.__version__
    assert found["software"]["python"] == ".".join(map(str, sys.version_info[:3]))
    model = Path(package.__file__).parent / "runtime" / "models" / "solo.onnx"
    assert hashlib.sha256(model.read_bytes()).hexdigest()[:12] in found["models"]["solo"]
    assert found["network"]["latency"].startswith("5.33 ms (256 samples at 48000 Hz) = block")
    assert "CPUExecutionProvider" in found["network"]["providers"]
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["audio"]["devices"] == [">  desk, Fake: 2 in, 0 out, 44100 Hz"]
    assert found["last session"] == {"ended": "there was none"}
    assert "audio: no output device found; is a sound server running?" in found["problems"]
    assert not [line for line in found["problems"] if "input" in line]


def test_people_get_the_same_in_lines(soloist: Run) -> None:
    result = soloist("diagnostics")
    assert result.code == 0 and result.err == ""
    lines = result.out.splitlines()
    for heading in [*module.PARTS, "problems"]:
        assert heading in lines
    assert f"soloist{' ' * 10}{package.__version__}" in " ".join(lines)
    assert max(map(len, lines)) < 300


@pytest.mark.parametrize("broken", [*module.PARTS])
@pytest.mark.parametrize("error", [DeviceError("it is\ngone"), ZeroDivisionError("by zero")])
def test_a_part_that_fails_is_a_problem(
    soloist: Run, monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception
) -> None:
    def fail() -> module.Findings:
        raise error

    quick = {name: lambda: module.Findings({"a": 1.23456}) for name in module.PARTS}
    monkeypatch.setattr(module, "PARTS", quick | {broken: fail})
    result = soloist("diagnostics")
    assert result.code == 0
    kind = "" if isinstance(error, DeviceError) else "ZeroDivisionError: "
    problems = result.out.partition("\nproblems\n")[2]
    assert problems == f"  {broken}: {kind}{' '.join(str(error).split())}\n"
    assert result.out.count("  a  1.235\n") == len(module.PARTS) - 1


def test_nothing_wrong(soloist: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARTS", {})
    assert soloist("diagnostics").out == "problems\n  none found\n"


def test_no_escape_reaches_the_terminal(soloist: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices are called as their makers like."""
    evil = SYSTEM | {"devices": [DESK | {"name": "desk\x1b[2J"}]}
    monkeypatch.setattr(sound_system, "ask", lambda: evil)
    assert "desk[2J, Fake" in soloist("diagnostics").out


# The last session.


def report(**counts: int) -> Report:
    return Report(
        "running",
        Wiring("mic", "desk", 1, 1, 48000, 48000, "cpu"),
        LatencyBudget(Latency(48000, (("overlap", 128),)), 128),
        MeterBoard(48000).read(),
        Counters(**counts),
    )


def test_the_last_session_is_told(soloist: Run, session_file: Path) -> None:
    process = SimpleNamespace(report=lambda: report(late=7))
    with pytest.raises(DeviceLost), last_session.remembered(process) as faults:
        faults.append("the cable came out")
        raise DeviceLost("and the server died")
    if sys.platform != "win32":
        assert session_file.stat().st_mode & 0o777 == 0o600
    found = json.loads(soloist("diagnostics", "--json").out)
    assert found["last session"]["audio"]["source"] == "mic"
    assert found["last session"]["latency"].startswith("5.33 ms (256 samples")
    assert found["problems"][-3:] == [
        "last session: the cable came out",
        "last session: and the server died",
        "last session: 7 late",
    ]
    assert "last session: 7 late" in soloist("diagnostics").out


def test_a_session_that_never_ran_is_told(soloist: Run) -> None:
    process = SimpleNamespace(report=lambda: Report("starting"))
    with pytest.raises(ValueError), last_session.remembered(process):
        raise ValueError("odd")
    problems = json.loads(soloist("diagnostics", "--json").out)["problems"]
    assert problems[-1] == "last session: a fault of ours, ValueError: odd"


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"faults": 3}', "\xff"])
def test_a_broken_file_is_a_problem(soloist: Run, session_file: Path, content: str) -> None:
    session_file.parent.mkdir()
    session_file.write_bytes(content.encode("latin-1"))
    result = soloist("diagnostics")
    assert result.code == 0
    assert "last session: " in result.out.partition("\nproblems\n")[2]


def test_a_place_that_takes_no_file_is_done_without(session_file: Path) -> None:
    session_file.parent.write_text("in the way")
    with last_session.remembered(SimpleNamespace(report=report)):
        pass
    assert session_file.parent.read_text() == "in the way"


# PortAudio, asked by another process.

FAKE = """
import os, sys, time
__version__ = "0.0"
class PortAudioError(Exception): pass
def get_portaudio_version(): return 1, "V19 of straw"
def query_hostapis(): return [{"name": "Fake"}]
def query_devices(kind=None):
    desk = {"name": "desk", "index": 0, "hostapi": 0, "max_input_channels": 1,
            "max_output_channels": 1, "default_samplerate": 48000.0}
    return desk if kind else [desk]
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", None),
        ("time.sleep(60)", "gave no answer for 0.5 s: does the sound server hang?"),
        ("os._exit(9)", "PortAudio ended its process (9)"),
        ("raise OSError('no library')", "PortAudio is missing (no library)"),
    ],
    ids=["well", "hangs", "crashes", "missing"],
)
def test_portaudio_is_asked_at_a_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str | None
) -> None:
    monkeypatch.undo()
    (tmp_path / "sounddevice.py").write_text(FAKE + code)
    search = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", search)
    if said is None:
        found = sound_system.ask()
        assert (found["portaudio"], found["host_apis"]) == ("V19 of straw", ["Fake"])
        assert [each["name"] for each in found["devices"]] == ["desk"]
        return
    if "sleep" in code:
        monkeypatch.setattr(sound_system, "_PATIENCE_S", 0.5)
    with pytest.raises(DeviceError) as caught:
        sound_system.ask()
    assert said in str(caught.value)
