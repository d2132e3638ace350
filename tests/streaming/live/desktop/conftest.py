"""Sound servers of a desktop, private to a test: PulseAudio, and PipeWire that stands in for it.

Neither needs a sound card, D-Bus or systemd. Both have a sink and a source to begin with, which
are the defaults. PipeWire's are null sinks as well, whose monitors are heard.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

PATIENCE_S = 60.0

_NODES = """
context.properties = {
    default.clock.rate = 48000 default.clock.quantum = %(quantum)d
    default.clock.min-quantum = %(quantum)d default.clock.max-quantum = %(quantum)d
    support.dbus = false
}
context.objects = [
    { factory = adapter args = {
        factory.name = support.null-audio-sink media.class = Audio/Sink node.name = speakers
        node.description = "Speakers" priority.session = 1000 audio.position = [ FL FR ]
        object.linger = true monitor.channel-volumes = false } }
    { factory = adapter args = {
        factory.name = support.null-audio-sink media.class = Audio/Source/Virtual node.name = desk
        node.description = "Desk Microphone" priority.session = 2000 audio.position = [ FL FR ]
        object.linger = true } }
]
"""
# Of the package pipewire-pulse, which removes PulseAudio where it is installed.
_PULSE_PROTOCOL = """
context.properties = { support.dbus = false }
context.spa-libs = {
    audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support
}
context.modules = [
    { name = libpipewire-module-protocol-native }
    { name = libpipewire-module-client-node }
    { name = libpipewire-module-adapter }
    { name = libpipewire-module-metadata }
    { name = libpipewire-module-protocol-pulse args = { server.address = [ "unix:%s" ] } }
]
"""
_NO_HARDWARE = """
alsa_monitor.enabled = false
v4l2_monitor.enabled = false
libcamera_monitor.enabled = false
alsa_monitor.properties = alsa_monitor.properties or {}
alsa_monitor.properties["alsa.reserve"] = false
default_access.properties["enable-flatpak-portal"] = false
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    out: str
    err: str


class DesktopServer:
    """What both have in common: a folder of their own, processes, and clients that reach them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="soloist-"))  # sockets need short paths
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_RUNTIME_PATH": str(self.folder),
            "PULSE_SERVER": f"unix:{self.folder}/native",
            "HOME": str(self.folder),
        }
        self.environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        self.processes.clear()

    def restart(self) -> None:
        self.end()
        self.start()

    def run(self, *command: str, **environment: str) -> Ended:
        """Any program, to its end."""
        ended = subprocess.run(
            command,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def pactl(self, *words: str) -> str:
        ended = self.run("pactl", *words)
        assert ended.code == 0, ended
        return ended.out

    def soloist(self, *words: str, **environment: str) -> Ended:
        return self.run(sys.executable, "-m", "soloist", *words, **environment)

    def _spawn(self, *command: str) -> None:
        self.processes.append(
            subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def _wait_for_default(self, source: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while f"Default Source: {source}" not in self.run("pactl", "info").out:
            if time.monotonic() > deadline:
                self.end()
                raise RuntimeError(f"{self.processes[0].args!r} did not start")
            time.sleep(0.05)


class PulseServer(DesktopServer):
    """PulseAudio with a sink "speakers" and a source "desk", which hears the sink "room"."""

    def start(self) -> None:
        (self.folder / "native").unlink(missing_ok=True)
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 socket={self.folder}/native",
            "module-null-sink sink_name=speakers rate=48000 channels=2",
            "module-null-sink sink_name=room rate=48000 channels=2",
            "module-remap-source source_name=desk master=room.monitor "
            "source_properties=device.description='Desk'",
        ]
        loads = [word for module in modules for word in ("-L", module)]
        self._spawn(
            *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
            *("--disable-shm=yes", "--log-target=null", *loads),
        )
        self._wait_for_default("desk")


class PipeWireServer(DesktopServer):
    """PipeWire with a sink "Speakers" and a source "Desk Microphone", `quantum` frames a cycle.

    `through_jack` is for clients that take PipeWire for JACK, as `pw-jack` starts them.
    """

    def __init__(self, quantum: int = 256) -> None:
        super().__init__()
        self.quantum = quantum
        settings = self.folder / "config"
        for file, text in (
            ("pipewire/pipewire.conf.d/nodes.conf", _NODES % {"quantum": quantum}),
            ("wireplumber/main.lua.d/51-no-hardware.lua", _NO_HARDWARE),
            ("wireplumber/bluetooth.lua.d/51-off.lua", "bluez_monitor.enabled = false\n"),
            ("pulse.conf", _PULSE_PROTOCOL % f"{self.folder}/native"),
        ):
            (settings / file).parent.mkdir(parents=True, exist_ok=True)
            (settings / file).write_text(text)
        # WirePlumber keeps what it learns; `soloist` keeps its own where the tests' folder is.
        self._settings = {"XDG_CONFIG_HOME": str(settings), "XDG_STATE_HOME": str(self.folder)}
        self.environment["PIPEWIRE_RUNTIME_DIR"] = str(self.folder)

    def start(self) -> None:
        clients = self.environment
        self.environment = clients | self._settings
        try:
            self._spawn("pipewire")
            deadline = time.monotonic() + PATIENCE_S
            while not (self.folder / "pipewire-0").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            self._spawn("wireplumber")
            self._spawn("pipewire", "-c", f"{self.folder}/config/pulse.conf")
        finally:
            self.environment = clients
        self._wait_for_default("desk")

    @property
    def through_jack(self) -> "Clients":
        told = self.run("pw-jack", "-p", str(self.quantum), "env").out.splitlines()
        return Clients(dict(line.split("=", 1) for line in told if "=" in line))


@dataclass(frozen=True)
class Clients:
    """The environment of a server's clients."""

    environment: dict[str, str]


def _require(*programs: str) -> None:
    """Skips where a program is missing; under CI, where these tests must run, fails."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        reason = f"no {missing[0]} (tools/install-audio-servers installs it)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture
def pulse_server() -> Iterator[PulseServer]:
    _require("pulseaudio", "pactl")
    with PulseServer() as server:
        yield server


@pytest.fixture
def pipewire_server() -> Iterator[PipeWireServer]:
    _require("pipewire", "wireplumber", "pw-jack", "pactl")
    with PipeWireServer() as server:
        yield server


@pytest.fixture(params=["pulse", "pipewire"])
def desktop(request: pytest.FixtureRequest) -> DesktopServer:
    """Either."""
    server: DesktopServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def soon() -> Callable[[Callable[[], bool]], bool]:
    """`soon(holds)`: whether it holds before long."""

    def wait(holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    return wait
