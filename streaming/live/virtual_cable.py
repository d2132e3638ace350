"""A virtual microphone and a virtual sink, on Linux, in PulseAudio or PipeWire.

    programs play into soloist-sink → Soloist → soloist-feed → soloist-mic, which programs record

`soloist-mic` is a source of its own over the monitor of the sink that Soloist plays into, since
Chromium, and what is built on it, hides monitors.

Both ends are modules of the sound server, which outlive whoever loaded them. So each carries the
name of its keeper: the user, who asked for it to stay, or a process by its number and the time at
which it began. Those of a process that is no more were left behind by a crash, and are cleared away
by whoever makes or removes an end next.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...runtime.errors import DeviceError
from . import pulse

EndName = Literal["microphone", "sink"]

MICROPHONE, FEED, SINK = "soloist-mic", "soloist-feed", "soloist-sink"
USER = "user"

_STEREO = "channels=2 channel_map=front-left,front-right rate=48000"
# Never what programs get that ask for no device: PipeWire takes the newest where priorities agree.
_HUMBLE = "priority.session='-1'"
_TAG = re.compile(r"soloist\.keeper='([^']*)'")
_NAME = re.compile(r"\b(?:sink|source)_name=(\S+)")


@dataclass(frozen=True)
class Part:
    """A module of an end, but for its keeper."""

    module: str
    kind: Literal["sink", "source"]
    name: str
    arguments: str

    def tagged(self, keeper: str) -> list[str]:
        """What the module is loaded with."""
        properties = f"device.description='{self.name}' soloist.keeper='{keeper}' {_HUMBLE}"
        return [
            f"{self.kind}_name={self.name}",
            *self.arguments.split(),
            f'{self.kind}_properties="{properties}"',
        ]


ENDS: dict[EndName, tuple[Part, ...]] = {
    "microphone": (
        Part("module-null-sink", "sink", FEED, _STEREO),
        Part(
            "module-remap-source",
            "source",
            MICROPHONE,
            f"master={FEED}.monitor channels=2 remix=no",
        ),
    ),
    "sink": (Part("module-null-sink", "sink", SINK, _STEREO),),
}


@dataclass(frozen=True)
class End:
    """An end as it was found. `keeper` is "user", a process or, where nothing is there, empty."""

    name: EndName
    keeper: str
    parts: tuple[str, ...]  # names of the sinks and sources that are there
    modules: tuple[int, ...]

    @property
    def whole(self) -> bool:
        return len(self.parts) == len(ENDS[self.name])

    @property
    def left_behind(self) -> bool:
        """Whether its keeper is a process that is no more."""
        return self.keeper not in ("", USER) and not _alive(self.keeper)

    @property
    def state(self) -> str:
        """The same for people."""
        if not self.modules:
            return "not there"
        if self.left_behind:
            return "left behind by a crash"
        if not self.whole:
            return "there in part"
        return "there" if self.process is None else f"there while process {self.process} runs"

    @property
    def process(self) -> int | None:
        """The number of the process that keeps it and still runs."""
        if self.keeper in ("", USER) or self.left_behind:
            return None
        return int(self.keeper.partition(".")[0])


def look() -> list[End]:
    """Both ends as they are; raises `DeviceError` as all of `pulse` does."""
    tagged = {
        _name(module): (module.index, tag[1])
        for module in pulse.modules()
        if (tag := _TAG.search(module.arguments))
    }
    found = []
    for name, parts in ENDS.items():
        mine = {part.name: tagged[part.name] for part in parts if part.name in tagged}
        keepers = [keeper for _, keeper in mine.values()]
        modules = tuple(index for index, _ in mine.values())
        found.append(End(name, keepers[0] if keepers else "", tuple(mine), modules))
    return found


def create(name: EndName, keeper: str) -> bool:
    """Make an end unless it is there; whether it was made.

    What a crash left of it goes first. Raises `DeviceError` where a process keeps it that runs, or
    others use its names.
    """
    end = _end(name)
    if end.process is not None and end.process != os.getpid():
        raise DeviceError(
            f"{' and '.join(end.parts)} belong to a Soloist that runs (process {end.process}) and "
            "go with it: end it first"
        )
    if end.whole and not end.left_behind:
        return False
    _unload(end)
    _check_names(name)
    loaded: list[int] = []
    try:
        for part in ENDS[name]:
            loaded.append(pulse.load(part.module, *part.tagged(keeper)))
    except BaseException:
        for index in reversed(loaded):
            with suppress(DeviceError):
                pulse.unload(index)
        raise
    return True


def remove(name: EndName) -> bool:
    """Remove an end, whole or not; whether anything of ours was there.

    Raises `DeviceError` where a process keeps it that runs: its audio would go to the loudspeakers.
    """
    end = _end(name)
    if end.process is not None and end.process != os.getpid():
        raise DeviceError(
            f"{' and '.join(end.parts)} are used by a Soloist that runs (process {end.process}): "
            "end it, and they go with it"
        )
    _unload(end)
    return bool(end.modules)


def this_process() -> str:
    """This process as a keeper."""
    return f"{os.getpid()}.{_began(os.getpid())}"


def _end(name: EndName) -> End:
    return next(end for end in look() if end.name == name)


def _unload(end: End) -> None:
    for index in reversed(end.modules):  # what was loaded on top first
        pulse.unload(index)


def _check_names(name: EndName) -> None:
    for kind in ("sinks", "sources"):
        taken = {node.name for node in pulse.nodes(kind)}
        for part in ENDS[name]:
            if f"{part.kind}s" == kind and part.name in taken:
                raise DeviceError(
                    f"there is a {part.kind} {part.name!r} that Soloist did not make: "
                    f"{_how_to_unload(part.name)}"
                )


def _how_to_unload(name: str) -> str:
    for module in pulse.modules():
        if _name(module) == name:
            return f"`pactl unload-module {module.index}` removes it"
    return "remove or rename it"


def _name(module: pulse.Module) -> str:
    found = _NAME.search(module.arguments)
    return found[1] if found else ""


def _alive(keeper: str) -> bool:
    number, _, began = keeper.partition(".")
    return number.isdecimal() and _began(int(number)) == began


def _began(process: int) -> str:
    """When a process began, in ticks since the machine did (proc(5), stat); empty if it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
