"""Choosing a device by index and words, and what is said when that fails."""

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from soloist.runtime.errors import DeviceError
from soloist.streaming.live.devices import (
    Device,
    Kind,
    choose_device,
    explain,
    list_devices,
    portaudio,
    preflight,
)

DEVICES = [
    Device(0, "HDA Intel: ALC257 (hw:0,0)", "ALSA", 2, 2, 48000.0),
    Device(1, "USB Microphone", "ALSA", 1, 0, 44100.0),
    Device(2, "pulse", "ALSA", 32, 32, 44100.0, default_input=True),
    Device(3, "pulse monitor", "ALSA", 2, 0, 44100.0),
    Device(4, "system", "JACK Audio Connection Kit", 2, 2, 48000.0, default_output=True),
]


class PortAudioError(Exception):
    pass


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 2),
        (1, 1),
        ("1", 1),
        ("usb", 1),
        ("USB MICROPHONE", 1),
        ("mic alsa", 1),
        ("pulse", 2),  # exact, though "pulse monitor" has it, too
        ("pulse, ALSA", 2),
        ("system, jack audio connection kit", 4),
    ],
)
def test_device_is_found(wanted: int | str | None, index: int) -> None:
    assert choose_device(DEVICES, "input", wanted).index == index


def test_default_depends_on_the_kind() -> None:
    assert choose_device(DEVICES, "output", None).index == 4


@pytest.mark.parametrize(
    ("kind", "wanted", "said"),
    [
        ("input", "theremin", "no input device matches 'theremin'; there are: 0 'HDA"),
        ("input", "alsa", "several input devices match 'alsa', name one: 0 'HDA"),
        ("input", "alsa usb", "no input device"),  # words match in order
        ("input", 99, "no device 99; there are: 0"),
        ("output", 1, "device 1 (USB Microphone, ALSA) has no outputs; there are: 0"),
        ("output", "usb", "no output device"),
    ],
)
def test_candidates_are_named(kind: Kind, wanted: int | str, said: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(DEVICES, kind, wanted)
    message = str(caught.value)
    assert message.startswith(said)
    assert "\n" not in message


def test_many_candidates_are_cut() -> None:
    devices = [Device(i, f"line {i}", "ALSA", 1, 1, 48000.0) for i in range(30)]
    with pytest.raises(DeviceError, match=r"line 7.*and 22 more, see `soloist devices`"):
        choose_device(devices, "input", "line")


def test_no_device_at_all_and_no_default() -> None:
    with pytest.raises(DeviceError, match="no input device found"):
        choose_device([], "input", None)
    with pytest.raises(DeviceError, match="no default input device, choose one with --input-dev"):
        choose_device(DEVICES[:2], "input", None)


def test_missing_libraries_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DeviceError, match="pip install sounddevice"):
        portaudio()


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A sounddevice that knows DEVICES; its checks raise what `refuse` holds."""
    fake = SimpleNamespace(PortAudioError=PortAudioError, refuse=None)
    apis = ["ALSA", "JACK Audio Connection Kit"]

    def query_devices(kind: str | None = None) -> Any:
        infos: list[dict[str, object]] = [
            {
                "index": device.index,
                "name": device.name,
                "hostapi": apis.index(device.host_api),
                "max_input_channels": device.input_channels,
                "max_output_channels": device.output_channels,
                "default_samplerate": device.sample_rate,
            }
            for device in DEVICES
        ]
        if kind == "output":
            raise PortAudioError("Error querying device -1")
        return infos[2] if kind else infos

    def check(*_: object, **__: object) -> None:
        if fake.refuse:
            raise fake.refuse

    fake.query_devices = query_devices
    fake.query_hostapis = lambda: [{"name": name} for name in apis]
    fake.check_input_settings = fake.check_output_settings = check
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.mark.usefixtures("sounddevice")
def test_list_without_a_default_output() -> None:
    listed = list_devices()
    assert [device.label for device in listed] == [device.label for device in DEVICES]
    assert [device.index for device in listed if device.default_input] == [2]
    assert not any(device.default_output for device in listed)


def test_preflight(sounddevice: SimpleNamespace) -> None:
    source, sink = DEVICES[1], DEVICES[0]
    preflight(source, sink, 48000, 1, 2)
    sounddevice.refuse = PortAudioError("Invalid sample rate", -9997)
    with pytest.raises(DeviceError) as caught:
        preflight(source, sink, 48000, 1, 2)
    assert str(caught.value) == (
        "input 'USB Microphone, ALSA' does not run at 48000 Hz (it offers 44100 Hz): set it or its "
        "sound server to 48000 Hz, or choose another device"
    )


@pytest.mark.parametrize("host_api", ["Windows WASAPI", "Core Audio", "ALSA"])
def test_exclusive_settings_reach_the_driver(
    sounddevice: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, host_api: str
) -> None:
    """As sounddevice takes them: its own classes are made everywhere and matter on one system."""
    told: list[Any] = []
    sounddevice.check_input_settings = sounddevice.check_output_settings = (
        lambda *_, extra_settings, **__: told.append(extra_settings)
    )
    sounddevice.WasapiSettings = lambda **settings: ("wasapi", settings)
    sounddevice.CoreAudioSettings = lambda **settings: ("core", settings)
    desk = replace(DEVICES[0], host_api=host_api, exclusive=True)
    if host_api == "ALSA":
        with pytest.raises(DeviceError, match=r"--exclusive is for WASAPI and Core Audio, 'HDA"):
            preflight(desk, desk, 48000, 2, 2)
        return
    preflight(desk, DEVICES[0], 48000, 2, 2)
    expected = {
        "Windows WASAPI": ("wasapi", {"exclusive": True}),
        "Core Audio": (
            "core",
            {"change_device_parameters": True, "fail_if_conversion_required": True},
        ),
    }
    assert told == [expected[host_api], None]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PortAudioError("Error opening Stream: Device unavailable", -9985), "in use by another"),
        (PortAudioError("Insufficient memory", -9992), "sound server still running"),
        (PortAudioError("Error\nx", -1), r"cannot be opened \(Error x\)"),
        (PortAudioError("Error querying device 999"), "cannot be opened"),
    ],
)
def test_every_error_is_one_line(error: PortAudioError, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        raise explain(error, "input 'x'", 48000, DEVICES[0])
