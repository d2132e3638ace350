"""A PulseAudio server, or PipeWire that speaks its protocol, asked and told through `pactl`.

`pactl` runs as a program of its own: a server that hangs costs seconds, and never this process.
Every function raises `DeviceError` where there is no `pactl`, no server or no answer.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import Literal

from ...runtime.errors import DeviceError

_PATIENCE_S = 5.0
# "index TAB name TAB arguments TAB"; PipeWire's own modules have arguments of several lines.
_MODULE = re.compile(r"(\d+)\t(module-\S+)\t([^\t\n]*)")


@dataclass(frozen=True)
class Server:
    """Who answers, and which devices programs get that ask for none."""

    name: str
    default_sink: str
    default_source: str

    @property
    def is_pipewire(self) -> bool:
        return "PipeWire" in self.name


@dataclass(frozen=True)
class Module:
    """A part of the server that somebody loaded, as it was asked for."""

    index: int
    name: str
    arguments: str


@dataclass(frozen=True)
class Node:
    """A sink or a source: its name for programs and the one for people."""

    name: str
    description: str


def server() -> Server:
    """The server that programs of this user reach."""
    said = dict(line.partition(": ")[::2] for line in _pactl("info").splitlines())
    return Server(
        said.get("Server Name", "a sound server without a name"),
        said.get("Default Sink", ""),
        said.get("Default Source", ""),
    )


def modules() -> list[Module]:
    """All modules of PulseAudio's kind."""
    listed = _pactl("list", "short", "modules").splitlines()
    found = [_MODULE.match(line) for line in listed]
    return [Module(int(each[1]), each[2], each[3]) for each in found if each]


def nodes(kind: Literal["sinks", "sources"]) -> list[Node]:
    """All sinks or sources; a sink has a source beside it, its monitor."""
    found, name = [], ""
    for line in _pactl("list", kind).splitlines():
        key, _, value = line.strip().partition(": ")
        if key == "Name":
            name = value
        elif key == "Description":
            found.append(Node(name, value))
    return found


def load(module: str, *arguments: str) -> int:
    """Load a module; its index."""
    return int(_pactl("load-module", module, *arguments))


def unload(index: int) -> None:
    """Unload a module, and with it what others loaded on top of it."""
    _pactl("unload-module", str(index))


def _pactl(*words: str) -> str:
    try:
        ended = subprocess.run(
            ["pactl", *words],
            env={**os.environ, "LC_ALL": "C.UTF-8"},  # what is read here is English
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        raise DeviceError(
            "pactl, which talks to PulseAudio and PipeWire, is missing: install pulseaudio-utils "
            "(Arch: libpulse)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"the sound server gave no answer for {_PATIENCE_S:g} s: restart it, such as by "
            "`systemctl --user restart pipewire pipewire-pulse` or `pulseaudio -k`"
        ) from error
    if ended.returncode == 0:
        return ended.stdout
    said = " ".join(ended.stderr.split())
    if refused := re.match(r"Connection failure: ([^:]*?)(?: pa_context|$)", said):
        raise DeviceError(
            f"no PulseAudio or PipeWire server answers ({refused[1]}): start one, such as by "
            "`systemctl --user start pipewire-pulse`, as the user who is logged in"
        )
    raise DeviceError(f"the sound server refuses `pactl {' '.join(words)}`: {said}")
