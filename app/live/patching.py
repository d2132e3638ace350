"""Where `soloist live` finds its devices with --virtual-mic, --virtual-sink and --loopback, and
`soloist bench --loopback` the two ends of a virtual cable.

On Linux they are sinks and sources of PulseAudio or PipeWire. PortAudio knows those by name where
it talks to PipeWire's JACK (`pw-jack soloist live`), and else as one ALSA device, "pulse", which
libpulse leads to the sink and the source that two environment variables name. On Windows the
computer's own sound is a device of its own, where PortAudio offers it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from ...runtime.errors import DeviceError
from ...streaming.live import pulse, virtual_cable
from ...streaming.live.devices import Device, Kind, choose_device, meant
from ...streaming.live.virtual_cable import FEED, MICROPHONE, SINK, EndName
from ..console import say
from . import sound_system

_JACK = "JACK Audio Connection Kit"
_PULSE = "pulse, ALSA"
_LOOPBACK = "[Loopback]"  # how PortAudio ends the names of Windows' outputs as inputs

_NO_PLUGIN = (
    "ALSA's way to the sound server is missing: install libasound2-plugins (Fedora: "
    "alsa-plugins-pulseaudio, Arch: alsa-plugins)"
)
_ELSEWHERE = "is for Linux; `soloist virtual-cable create` says what to do on this system"
_NO_LOOPBACK = (
    "this PortAudio cannot hear what the computer plays; `soloist virtual-cable create` says how "
    "to do it with a virtual cable"
)


@dataclass(frozen=True)
class Wanted:
    """What the command line says of devices."""

    input_device: str | None = None
    output_device: str | None = None
    virtual_mic: bool = False
    virtual_sink: bool = False
    loopback: bool = False
    insert: bool = False

    @property
    def plain(self) -> bool:
        """Whether PortAudio's devices are meant, and nothing is to be done here."""
        return not (self.virtual_mic or self.virtual_sink or self.loopback)

    @property
    def ends(self) -> list[EndName]:
        """The virtual ends that are needed."""
        asked: dict[EndName, bool] = {"microphone": self.virtual_mic, "sink": self.virtual_sink}
        return [end for end, wanted in asked.items() if wanted]

    def check(self) -> None:
        """Raises `DeviceError` for two answers to one question."""
        inputs = [
            *(["--input-device"] if self.input_device is not None else []),
            *(["--virtual-sink"] if self.virtual_sink else []),
            *(["--loopback"] if self.loopback else []),
        ]
        outputs = [
            *(["--output-device"] if self.output_device is not None else []),
            *(["--virtual-mic"] if self.virtual_mic else []),
        ]
        for kind, options in (("input", inputs), ("output", outputs)):
            if len(options) > 1:
                raise DeviceError(f"{' and '.join(options)} each name an {kind}: give one of them")
        if self.insert and not self.plain:
            raise DeviceError(
                "--jack leaves both ends to a patchbay: take it without --virtual-mic, "
                "--virtual-sink and --loopback"
            )


@dataclass
class Patch:
    """The devices to open, with the virtual ones that they need, which `restore` makes again."""

    input_device: str | None
    output_device: str | None
    ends: list[EndName] = field(default_factory=list)
    made: list[EndName] = field(default_factory=list)

    def restore(self) -> None:
        """Make the virtual ends that are missing, as after a restart of the sound server."""
        for end in self.ends:
            if virtual_cable.create(end, virtual_cable.this_process()) and end not in self.made:
                self.made.append(end)


@contextmanager
def patched(wanted: Wanted) -> Iterator[Patch]:
    """The devices meant, with the environment set that leads the process that plays to them.

    Virtual ends that were made for this go away afterwards; those of `virtual-cable create` stay.
    Raises `DeviceError`: one line that says what to do.
    """
    wanted.check()
    if wanted.plain:
        yield Patch(wanted.input_device, wanted.output_device)
        return
    if not sys.platform.startswith("linux"):
        yield _elsewhere(wanted)
        return
    patch = Patch(wanted.input_device, wanted.output_device, wanted.ends)
    with _variables_kept():
        try:
            patch.restore()
            _find(patch, wanted)
            yield patch
        finally:
            for end in patch.made:
                _remove(end)


@contextmanager
def cabled(input_device: str | None, output_device: str | None) -> Iterator[Patch]:
    """The devices meant, of which one is to hear what the other plays.

    PortAudio's, or else a source and a sink of PulseAudio or PipeWire by words of their names, such
    as the ends of a virtual cable. Raises `DeviceError` as `choose_device` does.
    """
    patch = Patch(input_device, output_device)
    with _variables_kept():
        words = (input_device, output_device)
        if sys.platform.startswith("linux") and any(word is not None for word in words):
            found = [Device(**each) for each in sound_system.ask()["devices"]]
            patch.input_device = _named(found, "input", input_device)
            patch.output_device = _named(found, "output", output_device)
        yield patch


@contextmanager
def _variables_kept() -> Iterator[None]:
    """The environment that leads libpulse is afterwards what it was."""
    variables = {name: os.environ.get(name) for name in ("PULSE_SINK", "PULSE_SOURCE")}
    try:
        yield
    finally:
        for name, value in variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _find(patch: Patch, wanted: Wanted) -> None:
    """Choose both devices, by what PortAudio and the sound server know."""
    server = pulse.server()
    found = [Device(**each) for each in sound_system.ask()["devices"]]
    sink = FEED if wanted.virtual_mic else _node("sinks", wanted.output_device, server)
    if wanted.virtual_sink:
        source: str | None = f"{SINK}.monitor"
    elif wanted.loopback:
        source = f"{server.default_sink}.monitor"
    else:
        source = _node("sources", wanted.input_device, server)
    _check_circle(source, sink, wanted)
    if source is not None:
        patch.input_device = _lead(found, "sources", source)
    if sink is not None:
        patch.output_device = _lead(found, "sinks", sink)
    if server.is_pipewire and _PULSE in (patch.input_device, patch.output_device):
        say(
            "PipeWire is reached through ALSA; started by `pw-jack soloist live`, the delay is less"
        )


def _node(kind: Literal["sinks", "sources"], words: str | None, server: pulse.Server) -> str | None:
    """The sink or source meant, None where `words` mean a device of PortAudio's."""
    if words is None:
        return server.default_sink if kind == "sinks" else server.default_source
    if words.strip().isdecimal():
        return None
    fitting = meant(
        words, pulse.nodes(kind), lambda n: (f"{n.description}, {n.name}", n.name, n.description)
    )
    if len(fitting) == 1:
        return fitting[0].name
    if fitting:
        names = "; ".join(repr(node.description) for node in fitting)
        raise DeviceError(f"several {kind} match {words!r}, name one: {names}")
    return None


def _named(found: list[Device], kind: Kind, words: str | None) -> str | None:
    """The device of PortAudio's, or the label of that which leads to the source or sink meant."""
    try:
        return None if words is None else choose_device(found, kind, words).label
    except DeviceError as unknown:
        nodes: Literal["sinks", "sources"] = "sources" if kind == "input" else "sinks"
        try:
            server = pulse.server()
        except DeviceError:
            raise unknown from None
        node = _node(nodes, words, server)
        if node is None:
            raise
        return _lead(found, nodes, node)


def _check_circle(source: str | None, sink: str | None, wanted: Wanted) -> None:
    """Raises `DeviceError` where Soloist would hear what it plays, over and over."""
    if source in (MICROPHONE, f"{FEED}.monitor") and sink == FEED:
        raise DeviceError(
            f"the input is {MICROPHONE}, which Soloist itself plays into: name your microphone "
            "with --input-device, or make it the system's default"
        )
    if source != f"{sink}.monitor":
        return
    if wanted.virtual_sink:
        raise DeviceError(
            f"the output is {SINK}, which --virtual-sink hears: name your loudspeakers with "
            "--output-device, or make them the system's default"
        )
    raise DeviceError(
        f"--loopback hears what {sink!r} plays, and that is where the output goes, so it would "
        "hear itself: name another --output-device or --virtual-mic, or take --virtual-sink and "
        f"let programs play into {SINK}"
    )


def _lead(found: list[Device], kind: Literal["sinks", "sources"], name: str) -> str:
    """PortAudio's label of a sink or source, with libpulse led to it where needed."""
    # A monitor is heard at the inputs of its sink, which is what JACK calls them.
    monitored = name.removesuffix(".monitor")
    nodes = pulse.nodes("sinks" if kind == "sinks" or monitored != name else "sources")
    described = {node.name: node.description for node in nodes}
    if monitored not in described:
        raise DeviceError(f"the sound server has no {name!r}; name another device")
    for device in found:
        if device.host_api == _JACK and device.name == described[monitored]:
            return device.label
    if _PULSE not in [device.label for device in found]:
        raise DeviceError(_NO_PLUGIN)
    os.environ["PULSE_SINK" if kind == "sinks" else "PULSE_SOURCE"] = name
    return _PULSE


def _remove(end: EndName) -> None:
    try:
        virtual_cable.remove(end)
    except DeviceError:  # the server is gone, and the end with it
        return


def _elsewhere(wanted: Wanted) -> Patch:
    """Windows' own loopback, where PortAudio has it."""
    if wanted.ends:
        option = "--virtual-mic" if wanted.virtual_mic else "--virtual-sink"
        raise DeviceError(f"{option} {_ELSEWHERE}")
    found = [Device(**each) for each in sound_system.ask()["devices"]]
    sink = choose_device(found, "output", wanted.output_device)
    heard = [device for device in found if device.name.endswith(_LOOPBACK)]
    if not heard:
        raise DeviceError(_NO_LOOPBACK)
    names = {device: device.name.removesuffix(_LOOPBACK).strip() for device in heard}
    usual = [each for each in heard if names[each] == choose_device(found, "output", None).name]
    source = (usual or heard)[0]
    if names[source] == sink.name:
        raise DeviceError(
            f"--loopback hears what {sink.name!r} plays, and that is where the output goes, so it "
            "would hear itself: name another --output-device"
        )
    return Patch(source.label, sink.label)
