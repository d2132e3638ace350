"""`soloist live` on PulseAudio: that it starts, what it leaves behind, and how it refuses.

What it sounds like is for JACK and PipeWire to show: on a busy machine the way through ALSA loses
blocks, and PortAudio then the device.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from soloist.app.live import sound_system
from soloist.app.live.patching import Wanted, patched
from soloist.runtime.errors import DeviceError

pytestmark = [pytest.mark.pulse, pytest.mark.timeout(240)]


def ours(server: Any) -> list[str]:
    listed = server.pactl("list", "short", "modules").splitlines()
    return [line.split("\t")[2].split()[0] for line in listed if "soloist.keeper" in line]


def at(server: Any, streams: str, nodes: str) -> list[str]:
    """Names of the nodes that have such streams."""
    listed = server.pactl("list", "short", nodes).splitlines()
    names = dict(line.split("\t")[:2] for line in listed)
    return [
        names[line.split("\t")[1]]
        for line in server.pactl("list", "short", streams).splitlines()
        if line.split("\t")[1] in names
    ]


def test_it_is_a_microphone_for_others_while_it_runs(
    pulse_server: Any, start_live: Any, soon: Callable[[Callable[[], bool]], bool]
) -> None:
    """Of what the computer plays, which needs no microphone."""
    live = start_live(pulse_server, "--loopback", "--virtual-mic", "--latency", "high")
    live.wait_for("READY")
    assert "input    pulse, ALSA (2 ch)" in live.text
    assert ours(pulse_server) == ["sink_name=soloist-feed", "source_name=soloist-mic"]
    # Its streams are where they belong.
    assert soon(lambda: "speakers.monitor" in at(pulse_server, "source-outputs", "sources"))
    assert set(at(pulse_server, "sink-inputs", "sinks")) <= {"soloist-feed"}
    assert live.end() == 130
    assert ours(pulse_server) == []


def test_a_killed_one_leaves_what_the_next_one_clears(pulse_server: Any, start_live: Any) -> None:
    first = start_live(pulse_server, "--virtual-mic", "--latency", "high")
    first.wait_for("READY")
    first.process.send_signal(signal.SIGKILL)
    first.finish()
    assert ours(pulse_server) == ["sink_name=soloist-feed", "source_name=soloist-mic"]
    second = start_live(pulse_server, "--virtual-mic", "--latency", "high")
    second.wait_for("READY")
    assert len(ours(pulse_server)) == 2
    assert second.end() == 130
    assert ours(pulse_server) == []


def test_a_cable_made_to_stay_stays(pulse_server: Any, start_live: Any) -> None:
    pulse_server.soloist("virtual-cable", "create")
    live = start_live(pulse_server, "--virtual-sink", "--virtual-mic", "--latency", "high")
    live.wait_for("READY")
    assert live.end() == 130
    assert len(ours(pulse_server)) == 3


def test_the_server_comes_back_and_so_does_the_microphone(
    pulse_server: Any, start_live: Any
) -> None:
    live = start_live(pulse_server, "--virtual-mic", "--latency", "high")
    live.wait_for("READY")
    pulse_server.end()
    live.wait_for("soloist: ")
    time.sleep(1.0)
    pulse_server.start()
    live.wait_for("audio is back")
    assert ours(pulse_server) == ["sink_name=soloist-feed", "source_name=soloist-mic"]
    assert live.end() == 130
    assert ours(pulse_server) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loopback"], "--loopback hears what 'speakers' plays, and that is where the output"),
        (["--loopback", "-o", "speakers"], "so it would hear itself: name another --output-device"),
        (["--virtual-mic", "-i", "soloist-mic"], "the input is soloist-mic, which Soloist itself"),
        (["--virtual-sink", "-o", "soloist-sink"], "the output is soloist-sink, which --virtual"),
        (["--virtual-sink", "--loopback"], "--virtual-sink and --loopback each name an input"),
        (["--virtual-mic", "-o", "1"], "--output-device and --virtual-mic each name an output"),
        (["--virtual-mic", "-i", "nonesuch"], "no input device matches 'nonesuch'; there are: 0 "),
        (["--virtual-mic", "-i", "monitor"], "several sources match 'monitor', name one: "),
        (["--virtual-mic", "--jack"], "--jack leaves both ends to a patchbay: take it without"),
        (["-i", "nonesuch"], "no input device matches 'nonesuch'; there are: 0 'pulse, ALSA'"),
        (["-i", "alsa"], "several input devices match 'alsa', name one: 0 'pulse, ALSA'; 1 "),
        (["-i", "pulse", "-o", "pulse", "-c", "99"], "has 32 channels, --channels asks for 99"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    pulse_server: Any, options: list[str], said: str
) -> None:
    ended = pulse_server.soloist("live", *options, "--duration", "1")
    assert ended.code == 2 and ended.out == ""
    line = ended.err.removesuffix("\n")
    assert line.startswith("soloist: ") and "\n" not in line and said in line
    assert ours(pulse_server) == []


def test_without_a_server(pulse_server: Any) -> None:
    pulse_server.end()
    ended = pulse_server.soloist("live", "--virtual-mic")
    assert ended.code == 2
    assert ended.err.startswith("soloist: no PulseAudio or PipeWire server answers (Connection re")
    ended = pulse_server.soloist("live", "-i", "pulse", "-o", "pulse")
    assert ended.code == 2
    assert ended.err.startswith("soloist: ") and len(ended.err.splitlines()) == 1


def test_without_alsas_way_to_the_server(
    pulse_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a system whose packages are not all there: refused, and nothing is left."""
    for name, value in pulse_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sound_system, "ask", lambda: {"devices": []})
    with (
        pytest.raises(DeviceError, match="ALSA's way to the sound server is missing: install liba"),
        patched(Wanted(virtual_mic=True)),
    ):
        pass
    assert ours(pulse_server) == []
    assert "PULSE_SINK" not in os.environ
