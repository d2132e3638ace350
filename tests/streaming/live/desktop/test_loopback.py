"""`soloist bench --loopback` as a person runs it without a sound card: on PipeWire's JACK, and
through a virtual cable, on PipeWire's JACK, on its PulseAudio and on PulseAudio itself."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

pytestmark = [pytest.mark.pipewire, pytest.mark.pulse, pytest.mark.timeout(300)]

CABLE = ("-i", "soloist-mic", "-o", "soloist-feed")


def measured(
    server: Any, *words: str, tries: int = 3, environment: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """The first report that is steady, of some: a busy machine loses blocks. Else the last."""
    report: dict[str, Any] | None = None
    for _ in range(tries):
        ended = server.soloist("bench", "--loopback", *words, "--json", "-", **environment)
        assert ended.code in (0, 2, 3), ended.err
        report = json.loads(ended.out) if ended.code == 0 else report
        if report is not None and report["steady"]:
            return report
    assert report is not None, ended.err
    return report


@pytest.fixture
def through_jack(pipewire_server: Any) -> dict[str, str]:
    """What `pw-jack` adds to the environment."""
    found: dict[str, str] = pipewire_server.through_jack.environment
    return found


def test_own_ports_are_a_cycle_apart(pipewire_server: Any, through_jack: dict[str, str]) -> None:
    report = measured(pipewire_server, "--jack", environment=through_jack)
    quantum = pipewire_server.quantum
    assert report["plain"]["frames"] == pytest.approx(quantum, abs=0.5)
    assert report["added_frames"] == pytest.approx(128, abs=0.5)
    assert report["reported"]["block collected"] == quantum
    assert report["unexplained_frames"] == pytest.approx(0.0, abs=0.5)


def test_a_virtual_cable_on_pipewires_jack(
    pipewire_server: Any, through_jack: dict[str, str]
) -> None:
    """The loop is one that PipeWire passes latencies around in, our own among them."""
    assert pipewire_server.soloist("virtual-cable", "create").code == 0
    report = measured(pipewire_server, *CABLE, environment=through_jack)
    assert report["input"] == "soloist-mic, JACK Audio Connection Kit"
    assert report["plain"]["frames"] == pytest.approx(pipewire_server.quantum, abs=0.5)
    assert report["added_frames"] == pytest.approx(128, abs=0.5)
    assert (report["reported"]["driver in"], report["reported"]["driver out"]) == (0, 0)


def test_a_virtual_cable_through_alsa(desktop: Any) -> None:
    """By the names of a source and a sink, which PortAudio does not know.

    Each block that a busy machine loses on this way moves the delay, for good; which is said.
    """
    assert desktop.soloist("virtual-cable", "create").code == 0
    report = measured(desktop, *CABLE, "--latency", "high", tries=2)
    assert report["input"] == report["output"] == "pulse, ALSA"
    # In blocks of any size, the worst case; PipeWire may have some of one size, with the least.
    assert report["claimed_frames"] in (128, 255)
    lost = report["plain"]["xruns"] + report["through"]["xruns"]
    assert report["steady"] or lost
    if not lost:
        assert report["added_frames"] == pytest.approx(report["claimed_frames"], abs=0.5)


def test_what_is_no_device_and_no_sink_is_refused(pulse_server: Any) -> None:
    ended = pulse_server.soloist("bench", "--loopback", "-i", "theremin", "-o", "speakers")
    assert ended.code == 2
    assert ended.err.startswith("soloist: no input device matches 'theremin'; there are: 0 'pulse")
    ended = pulse_server.soloist("bench", "--loopback", "-i", "monitor", "-o", "speakers")
    assert ended.code == 2
    assert ended.err.startswith("soloist: several sources match 'monitor', name one: ")
