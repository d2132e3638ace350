"""`soloist virtual-cable` with real modules, on PulseAudio and on PipeWire."""

import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from soloist.app.cli import run
from soloist.app.live import virtual_cable as command
from soloist.runtime.errors import DeviceError
from soloist.streaming.live import pulse, virtual_cable

pytestmark = [pytest.mark.pulse, pytest.mark.pipewire, pytest.mark.timeout(180)]

KEEP_ONE = """
import sys, time
from soloist.streaming.live import virtual_cable
virtual_cable.create("microphone", virtual_cable.this_process())
print("made", flush=True)
time.sleep(600)
"""


def modules(server: Any) -> list[str]:
    """Names and arguments of all."""
    listed = server.pactl("list", "short", "modules").splitlines()
    return sorted(line.partition("\t")[2] for line in listed if "\tmodule-" in line)


def names(server: Any, kind: str) -> list[str]:
    return [line.split("\t")[1] for line in server.pactl("list", "short", kind).splitlines()]


def told(server: Any, verb: str) -> dict[str, Any]:
    ended = server.soloist("virtual-cable", verb, "--json")
    assert (ended.code, ended.err) == (0, "")
    found: dict[str, Any] = json.loads(ended.out)
    return found


def states(server: Any) -> list[str]:
    return [end["state"] for end in told(server, "status")["ends"]]


def test_made_once_seen_by_others_and_removed(desktop: Any) -> None:
    before, defaults = modules(desktop), desktop.pactl("info")
    assert states(desktop) == ["not there", "not there"]
    first = told(desktop, "create")
    assert [end["state"] for end in first["ends"]] == ["there", "there"]
    assert [end["kept_by"] for end in first["ends"]] == ["user", "user"]
    assert "soloist-sink" in names(desktop, "sinks")
    assert "soloist-mic" in names(desktop, "sources")
    # A monitor would be hidden by Chromium.
    about = desktop.pactl("list", "sources").partition("Name: soloist-mic\n")[2]
    assert about.partition("Monitor of Sink: ")[2].startswith("n/a")
    assert "Description: soloist-mic\n" in about
    # Nobody gets these who did not ask for them.
    for line in desktop.pactl("info").splitlines():
        if line.startswith("Default S"):
            assert line in defaults.splitlines()
    there = modules(desktop)
    assert told(desktop, "create")["ends"] == first["ends"]
    assert modules(desktop) == there
    assert told(desktop, "remove") == {"removed": ["microphone", "sink"]}
    assert modules(desktop) == before
    assert told(desktop, "remove") == {"removed": []}


def test_people_are_told_in_lines(pulse_server: Any) -> None:
    ended = pulse_server.soloist("virtual-cable", "create")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        "virtual cable on pulseaudio",
        "  soloist-mic   there; `soloist live --virtual-mic` plays what others record from it",
        "  soloist-sink  there; `soloist live --virtual-sink` hears what others play into it",
    ]
    assert pulse_server.soloist("virtual-cable", "remove").err == (
        "removed: soloist-mic and soloist-sink\n"
    )


def test_what_a_crash_leaves_is_cleared_away(desktop: Any) -> None:
    before = modules(desktop)
    crashing = subprocess.Popen(
        [sys.executable, "-c", KEEP_ONE], env=desktop.environment, stdout=subprocess.PIPE
    )
    assert crashing.stdout is not None and crashing.stdout.readline() == b"made\n"
    try:
        assert states(desktop)[0] == f"there while process {crashing.pid} runs"
        for verb in ("create", "remove"):  # somebody is playing into it
            ended = desktop.soloist("virtual-cable", verb)
            assert ended.code == 2 and f"(process {crashing.pid})" in ended.err
            assert len(ended.err.splitlines()) == 1
    finally:
        crashing.kill()
        crashing.wait()
        crashing.stdout.close()
    assert states(desktop)[0] == "left behind by a crash"
    report = json.loads(desktop.soloist("diagnostics", "--json").out)
    assert report["sound server"]["default source"] == "desk"
    assert (
        "sound server: the virtual microphone was left behind by a crash; "
        "`soloist virtual-cable remove` clears it away"
    ) in report["problems"]
    made = told(desktop, "create")["ends"]
    assert [end["kept_by"] for end in made] == ["user", "user"]
    assert names(desktop, "sources").count("soloist-mic") == 1
    told(desktop, "remove")
    assert modules(desktop) == before


def test_what_is_there_in_part_is_mended(pulse_server: Any) -> None:
    before = modules(pulse_server)
    index = told(pulse_server, "create")["ends"][0]["modules"][1]
    pulse_server.pactl("unload-module", str(index))
    assert states(pulse_server) == ["there in part", "there"]
    assert [end["state"] for end in told(pulse_server, "create")["ends"]] == ["there", "there"]
    assert "soloist-mic" in names(pulse_server, "sources")
    told(pulse_server, "remove")
    assert modules(pulse_server) == before


def test_what_others_made_is_left_alone(pulse_server: Any) -> None:
    index = pulse_server.pactl("load-module", "module-null-sink", "sink_name=soloist-sink").strip()
    before = modules(pulse_server)
    ended = pulse_server.soloist("virtual-cable", "create")
    assert ended.code == 2
    assert ended.err == (
        "soloist: there is a sink 'soloist-sink' that Soloist did not make: "
        f"`pactl unload-module {index}` removes it\n"
    )
    assert modules(pulse_server) == before  # both ends or none
    assert told(pulse_server, "remove") == {"removed": []}
    assert modules(pulse_server) == before


@pytest.mark.parametrize("verb", ["create", "remove", "status"])
def test_without_a_server_or_pactl(pulse_server: Any, verb: str, tmp_path: Any) -> None:
    pulse_server.end()
    ended = pulse_server.soloist("virtual-cable", verb)
    assert ended.code == 2 and ended.out == ""
    assert ended.err == (
        "soloist: no PulseAudio or PipeWire server answers (Connection refused): start one, such "
        "as by `systemctl --user start pipewire-pulse`, as the user who is logged in\n"
    )
    ended = pulse_server.soloist("virtual-cable", verb, PATH=str(tmp_path))
    assert ended.code == 2 and "pactl, which talks to PulseAudio and PipeWire" in ended.err


def test_a_server_that_hangs_hangs_nobody(
    pulse_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "_PATIENCE_S", 0.5)
    for name, value in pulse_server.environment.items():
        monkeypatch.setenv(name, value)
    pulse_server.processes[0].send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(DeviceError, match=r"gave no answer for 0\.5 s: restart it"):
        virtual_cable.look()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("system", "step"), [("darwin", "brew install blackhole-2ch"), ("win32", "VB-CABLE")]
)
def test_other_systems_get_the_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], system: str, step: str
) -> None:
    monkeypatch.setattr(command, "sys", SimpleNamespace(platform=system))
    for verb in ("create", "remove", "status"):
        assert run(["virtual-cable", verb]) == 2
        assert step in capsys.readouterr().err
    assert run(["virtual-cable", "create", "--json"]) == 2
    assert any(step in line for line in json.loads(capsys.readouterr().out)["steps"])
