"""Audio devices: listing, choosing one by index or words, and asking it before opening it.

Devices are remembered as "name, host API" (`Device.label`): PortAudio gives no guarantee that an
index means the same device after something was plugged in or out.

`sounddevice` is imported when a device is first asked for, not with this module: importing it
starts PortAudio, which looks for sound servers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from ...runtime.errors import DeviceError

Kind = Literal["input", "output"]
T = TypeVar("T")

# As many candidates as fit a line that a person still reads.
_SHOWN = 8

# PortAudio's error numbers (portaudio.h, PaErrorCode) that have a remedy.
_INVALID_DEVICE = -9996
_INVALID_SAMPLE_RATE = -9997
_INVALID_CHANNEL_COUNT = -9998
_BAD_COMBINATION = -9993
_INSUFFICIENT_MEMORY = -9992
_DEVICE_UNAVAILABLE = -9985


@dataclass(frozen=True)
class Device:
    """One entry of PortAudio's list; a device can have inputs, outputs or both."""

    index: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    sample_rate: float  # Hz, the device's own
    default_input: bool = False
    default_output: bool = False
    exclusive: bool = False  # to be opened for this program alone

    @property
    def label(self) -> str:
        """The name that stays valid when indices move: "name, host API"."""
        return f"{self.name}, {self.host_api}"

    def channels(self, kind: Kind) -> int:
        return self.input_channels if kind == "input" else self.output_channels

    def is_default(self, kind: Kind) -> bool:
        return self.default_input if kind == "input" else self.default_output


_stand_in: Any = None


def portaudio() -> Any:
    """The `sounddevice` module, or a DeviceError that says how to get it."""
    if _stand_in is not None:
        return _stand_in
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError("live audio needs sounddevice: pip install sounddevice") from error
    except OSError as error:  # the module is there, its C library is not
        raise DeviceError(
            f"PortAudio is missing ({error}): on Debian or Ubuntu run "
            "`sudo apt-get install libportaudio2`"
        ) from error
    return sounddevice


@contextlib.contextmanager
def instead_of_portaudio(system: Any) -> Iterator[None]:
    """Within it, devices are those of `system`, which has what is used of `sounddevice` here:
    see `simulation`. For the whole process; main thread."""
    global _stand_in
    before, _stand_in = _stand_in, system
    try:
        yield
    finally:
        _stand_in = before


def list_devices() -> list[Device]:
    """All devices PortAudio knows, in its order. The list is as old as the process: PortAudio
    looks once, when it is loaded."""
    sounddevice = portaudio()
    apis = sounddevice.query_hostapis()
    default_input = _default_index(sounddevice, "input")
    default_output = _default_index(sounddevice, "output")
    return [
        Device(
            index=index,
            name=info["name"],
            host_api=apis[info["hostapi"]]["name"],
            input_channels=info["max_input_channels"],
            output_channels=info["max_output_channels"],
            sample_rate=info["default_samplerate"],
            default_input=index == default_input,
            default_output=index == default_output,
        )
        for index, info in enumerate(sounddevice.query_devices())
    ]


def find_device(kind: Kind, wanted: int | str | None = None, *, exclusive: bool = False) -> Device:
    """The device meant by `wanted`: an index, words of its name, or None for the system's default;
    `exclusive` as in `driver_settings`. Raises DeviceError, with the candidates, when none or
    several fit."""
    return replace(choose_device(list_devices(), kind, wanted), exclusive=exclusive)


def choose_device(devices: Sequence[Device], kind: Kind, wanted: int | str | None) -> Device:
    """`find_device` in a given list.

    Words match as in `meant`, in names and labels.
    """
    able = [device for device in devices if device.channels(kind)]
    if not able:
        raise DeviceError(f"no {kind} device found: `soloist devices` lists what there is")
    if wanted is None:
        return _default_of(able, kind)
    text = str(wanted).strip()
    if text.isdecimal():
        return _by_index(devices, able, kind, int(text))
    fitting = meant(text, able, lambda device: (device.label, device.name))
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DeviceError(
            f"several {kind} devices match {text!r}, name one: {_candidates(fitting)}"
        )
    raise DeviceError(f"no {kind} device matches {text!r}; there are: {_candidates(able)}")


def meant(words: str, among: Sequence[T], names: Callable[[T], Sequence[str]]) -> list[T]:
    """Those that `words` fit: one, if exactly one is called so, else all that contain them.

    Words match like sounddevice's own: case-insensitive, in order, anywhere in the first of
    `names`.
    """
    text = words.strip().lower()
    fitting = [each for each in among if _contains(text, names(each)[0].lower())]
    exact = [each for each in fitting if text in (name.lower() for name in names(each))]
    return exact if len(exact) == 1 else fitting


def driver_settings(device: Device) -> Any:
    """What PortAudio is to tell the driver of a device beyond the usual; None for nothing.

    Exclusive is WASAPI's mode of that name, which goes without Windows' mixer, and Core Audio's
    leave to set the device's own rate and buffer. Raises DeviceError for host APIs without such.
    """
    if not device.exclusive:
        return None
    if device.host_api == "Windows WASAPI":
        return portaudio().WasapiSettings(exclusive=True)
    if device.host_api == "Core Audio":
        return portaudio().CoreAudioSettings(
            change_device_parameters=True, fail_if_conversion_required=True
        )
    raise DeviceError(
        f"--exclusive is for WASAPI and Core Audio, {device.label!r} is neither: leave it out (of "
        "ALSA's devices, those called hw:... belong to one program anyway)"
    )


def preflight(
    source: Device,
    sink: Device,
    sample_rate: float,
    input_channels: int,
    output_channels: int,
) -> None:
    """Asks PortAudio whether the two devices can do this, without opening them.
    Raises DeviceError: a sentence that names the device, what it offers and what to change."""
    sounddevice = portaudio()
    for kind, device, channels in (
        ("input", source, input_channels),
        ("output", sink, output_channels),
    ):
        check = getattr(sounddevice, f"check_{kind}_settings")
        try:
            check(
                device.index,
                channels=channels,
                dtype="float32",
                samplerate=sample_rate,
                extra_settings=driver_settings(device),
            )
        except sounddevice.PortAudioError as error:
            raise explain(error, f"{kind} {device.label!r}", sample_rate, device) from error


def common_rate(
    source: Device, sink: Device, preferred: int, input_channels: int, output_channels: int
) -> int:
    """The preferred rate in Hertz where both devices run at it, else one that is their own.
    Raises DeviceError as `preflight` for the preferred one where there is none."""
    for rate in (preferred, round(sink.sample_rate), round(source.sample_rate)):
        with contextlib.suppress(DeviceError):
            preflight(source, sink, rate, input_channels, output_channels)
            return rate
    preflight(source, sink, preferred, input_channels, output_channels)
    return preferred


def channel_map(source: Device, sink: Device, channels: int | None) -> tuple[int, int]:
    """How many input and output channels to open.

    None: what both devices have, at most two; a mono input is heard on both sides of a stereo
    output. A number: that many, where a mono input is spread over all of them. Channels go by
    index, 1 to 1, 2 to 2. Raises DeviceError for a number a device does not have.
    """
    if channels is None:
        processed = min(source.input_channels, sink.output_channels, 2)
        return processed, min(sink.output_channels, 2) if source.input_channels == 1 else processed
    processed = 1 if source.input_channels == 1 else channels
    for device, kind, offered, needed in (
        (source, "input", source.input_channels, processed),
        (sink, "output", sink.output_channels, channels),
    ):
        if not 1 <= needed <= offered:
            raise DeviceError(
                f"{kind} {device.label!r} has {offered} channel{'s' * (offered > 1)}, "
                f"--channels asks for {channels}"
            )
    return processed, channels


def explain(error: Exception, subject: str, sample_rate: float, *devices: Device) -> DeviceError:
    """PortAudio's error number as one line about `subject` that says what to do."""
    code = error.args[1] if len(error.args) > 1 else None
    own_rates = " and ".join(dict.fromkeys(f"{device.sample_rate:g} Hz" for device in devices))
    remedies: dict[Any, str] = {
        _INVALID_SAMPLE_RATE: f"does not run at {sample_rate:g} Hz (it offers {own_rates}): set "
        f"it or its sound server to {sample_rate:g} Hz, or choose another device",
        _INVALID_CHANNEL_COUNT: "refuses this number of channels: change --channels",
        _INVALID_DEVICE: "is gone: `soloist devices` lists what there is",
        _DEVICE_UNAVAILABLE: "is in use by another program or not permitted: close the other "
        "program, or choose another device",
        _BAD_COMBINATION: "cannot be used together: choose two devices of the same host API",
        # What a JACK client gets when its server died after PortAudio had listed it.
        _INSUFFICIENT_MEMORY: "cannot be opened: is its sound server still running?",
    }
    remedy = remedies.get(code, f"cannot be opened ({_one_line(error)})")
    return DeviceError(f"{subject} {remedy}")


def _default_index(sounddevice: Any, kind: Kind) -> int:
    """PortAudio's default device, -1 where it has none."""
    try:
        return int(sounddevice.query_devices(kind=kind)["index"])
    except (sounddevice.PortAudioError, ValueError):
        return -1


def _default_of(able: Sequence[Device], kind: Kind) -> Device:
    for device in able:
        if device.is_default(kind):
            return device
    raise DeviceError(
        f"the system has no default {kind} device, choose one with --{kind}-device: "
        f"{_candidates(able)}"
    )


def _by_index(devices: Sequence[Device], able: Sequence[Device], kind: Kind, index: int) -> Device:
    for device in able:
        if device.index == index:
            return device
    known = next((device for device in devices if device.index == index), None)
    fault = f"device {index} ({known.label}) has no {kind}s" if known else f"no device {index}"
    raise DeviceError(f"{fault}; there are: {_candidates(able)}")


def _contains(words: str, label: str) -> bool:
    position = 0
    for word in words.split():
        found = label.find(word, position)
        if found < 0:
            return False
        position = found + len(word)
    return True


def _candidates(devices: Sequence[Device]) -> str:
    shown = "; ".join(f"{device.index} {device.label!r}" for device in devices[:_SHOWN])
    more = len(devices) - _SHOWN
    return f"{shown}; and {more} more, see `soloist devices`" if more > 0 else shown


def _one_line(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())
