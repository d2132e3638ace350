"""Which devices `live --loopback` takes on Windows, and what is refused elsewhere."""

import sys
from typing import Any

import pytest

from soloist.app.live import sound_system
from soloist.app.live.patching import Wanted, patched
from soloist.runtime.errors import DeviceError
from soloist.streaming.live import pulse


def device(index: int, name: str, inputs: int, outputs: int, default: bool = False) -> Any:
    return {
        "index": index,
        "name": name,
        "host_api": "Windows WASAPI",
        "input_channels": inputs,
        "output_channels": outputs,
        "sample_rate": 48000.0,
        "default_input": False,
        "default_output": default,
    }


WINDOWS = [
    device(0, "Speakers (Realtek)", 0, 2, default=True),
    device(1, "Headphones (USB)", 0, 2),
    device(2, "Headphones (USB) [Loopback]", 2, 0),
    device(3, "Speakers (Realtek) [Loopback]", 2, 0),
]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """This system is Windows; the devices that it lists."""
    found = [*WINDOWS]
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sound_system, "ask", lambda: {"devices": found})
    return found


@pytest.mark.usefixtures("windows")
def test_the_default_output_is_heard_and_another_plays() -> None:
    with patched(Wanted(output_device="usb", loopback=True)) as patch:
        assert patch.input_device == "Speakers (Realtek) [Loopback], Windows WASAPI"
        assert patch.output_device == "Headphones (USB), Windows WASAPI"


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("output", [None, "realtek", "0"])
def test_what_is_heard_does_not_play(output: str | None) -> None:
    wanted = Wanted(output_device=output, loopback=True)
    with pytest.raises(DeviceError, match="would hear itself"), patched(wanted):
        pass


def test_a_portaudio_without_loopback(windows: list[Any]) -> None:
    del windows[2:]
    with (
        pytest.raises(DeviceError, match="this PortAudio cannot hear what the computer plays"),
        patched(Wanted(output_device="usb", loopback=True)),
    ):
        pass


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("option", ["virtual_mic", "virtual_sink"])
def test_virtual_ends_are_linuxs(option: str) -> None:
    with (
        pytest.raises(DeviceError, match=f"--{option.replace('_', '-')} is for Linux"),
        patched(Wanted(**{option: True})),  # type: ignore[arg-type]
    ):
        pass


def test_without_any_of_it_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_system, "ask", None)
    monkeypatch.setattr(pulse, "server", None)
    with patched(Wanted("desk", "3")) as patch:
        patch.restore()
        assert (patch.input_device, patch.output_device) == ("desk", "3")
