"""A sound card without hardware: a private JACK server, a player and a recorder around Soloist.

Learnt the hard way, and kept here:
- jackd runs with -S (synchronous): a late client delays the cycle instead of losing a block.
- Freewheel runs the graph as fast as its clients can, without xruns. It must be left before any
  client goes away: jackd 1.9.21 then loops for ever, logging gigabytes (hence no log either).
- Player and recorder follow JACK's frame clock, so that what was recorded at a frame and what was
  played at it are compared without any search.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.streaming.live.plan import LivePlan

Audio = NDArray[np.float32]

# Two devices, "desk" and "mic": they play a constant of 0.5 into their inputs, 128 frames every
# 2.7 ms, or as soon afterwards as the machine lets them.
SOUND_SYSTEM = """
import threading, time
import numpy as np

class PortAudioError(Exception):
    pass

class Stream:
    latency = (0.004, 0.004)

    def __init__(self, callback, channels, **_):
        self._callback, self._channels, self.active = callback, channels, False

    def start(self):
        self.active = True
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        given = np.full((128, self._channels[0]), 0.5, np.float32)
        out = np.zeros((128, self._channels[1]), np.float32)
        while self.active:
            self._callback(given, out, 128, None, None)
            time.sleep(128 / 48000)

    def stop(self):
        self.active = False

    def close(self):
        pass

class InputStream(Stream):
    latency = 0.004

    def __init__(self, callback, channels, **_):
        super().__init__(lambda given, _, *rest: callback(given, *rest), (channels, 1))

class OutputStream(Stream):
    latency = 0.004

    def __init__(self, callback, channels, **_):
        super().__init__(lambda _, out, *rest: callback(out, *rest), (1, channels))

def query_hostapis():
    return [{"name": "Fake"}]

def query_devices(kind=None):
    common = {"hostapi": 0, "max_input_channels": 1, "default_samplerate": 48000.0}
    desk = {"name": "desk", "index": 0, "max_output_channels": 1, **common}
    mic = {"name": "mic", "index": 1, "max_output_channels": 0, **common}
    return desk if kind else [desk, mic]

def check_input_settings(*_, **__):
    pass

check_output_settings = check_input_settings
"""

# Patience with a busy machine; nothing here takes more than seconds on an idle one.
PATIENCE_S = 60.0


class JackServer:
    """A jackd of its own name with the dummy driver; `with` starts and ends it."""

    def __init__(self, rate: int = 48000, period: int = 128, channels: int = 2) -> None:
        self.rate, self.period, self.channels = rate, period, channels
        self.name = f"soloist-{uuid.uuid4().hex[:8]}"
        self.environment = {
            **os.environ,
            "JACK_DEFAULT_SERVER": self.name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }

    def __enter__(self) -> "JackServer":
        self._start()
        return self

    def restart(self, **changes: int) -> None:
        """Another server of the same name in place of one that was killed."""
        self.process.wait(3)
        for name, value in changes.items():
            setattr(self, name, value)
        self._start()

    def connect(self, source: str, sink: str) -> None:
        """What a patchbay does."""
        self._tell("jack_connect", source, sink)

    def disconnect(self, source: str, sink: str) -> None:
        """What a patchbay does."""
        self._tell("jack_disconnect", source, sink)

    def set_period(self, frames: int) -> None:
        self._tell("jack_bufsize", str(frames))

    def connections(self) -> set[tuple[str, str]]:
        """Pairs of ports, each in both orders."""
        found, port = set(), ""
        for line in self._tell("jack_lsp", "-c").splitlines():
            if line.startswith(" "):
                found.add((port, line.strip()))
            else:
                port = line
        return found

    def latencies(self) -> dict[str, dict[str, tuple[int, int]]]:
        """What the graph says of each port: {"capture": (least, most), "playback": ...}."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for line in self._tell("jack_lsp", "-l").splitlines():
            told = re.search(r"port (\w+) latency = \[ (\d+) (\d+) \] frames", line)
            if told is None:
                port = found.setdefault(line, {})
            else:
                port[told[1]] = int(told[2]), int(told[3])
        return found

    def _tell(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def __exit__(self, *_: object) -> None:
        self._end()
        if self.process.returncode == -signal.SIGKILL:
            # A killed server keeps its place in JACK's registry, which has eight for the whole
            # machine; one of the same name takes the place over and gives it back.
            self._start()
            self._end()
        for left in Path("/dev/shm").glob(f"*{self.name}*"):  # a killed server leaves its memory
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)

    def _start(self) -> None:
        command = ["jackd", "-n", self.name, "-S", "-t", "5000", "-d", "dummy"]
        command += ["-r", str(self.rate), "-p", str(self.period)]
        command += ["-C", str(self.channels), "-P", str(self.channels)]
        self.process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_S
        # jack_wait sleeps whole seconds, so poll.
        while subprocess.run(["jack_lsp"], env=self.environment, capture_output=True).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise RuntimeError("jackd did not start")
            time.sleep(0.02)

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(3)

    @contextlib.contextmanager
    def freewheel(self) -> Iterator[None]:
        """The graph as fast as it goes. No client may leave inside."""
        import jack

        control = jack.Client("control", no_start_server=True, servername=self.name)
        with control:
            control.set_freewheel(True)
            try:
                yield
            finally:
                control.set_freewheel(False)
                time.sleep(0.3)  # the server needs a moment before clients may go


class Server(Protocol):
    """Something that programs reach by its environment."""

    environment: dict[str, str]


class Transport:
    """The frame of JACK's clock at which player and recorder begin, None until it is known.
    One object for both, so that one assignment starts them at the same frame."""

    start: int | None = None


class Client:
    """A JACK client that moves `audio`, (frames, channels), to or from its ports."""

    def __init__(self, server: JackServer, name: str, audio: Audio, transport: Transport) -> None:
        import jack

        self.audio = audio
        self.done = threading.Event()
        self.late = False
        self._transport = transport
        self._next = 0
        self.client = jack.Client(name, no_start_server=True, servername=server.name)
        self.ports = [self._register(f"{name}_{channel + 1}") for channel in range(audio.shape[1])]
        self.client.set_process_callback(self._cycle)
        self.client.activate()

    def close(self) -> None:
        self.client.deactivate()
        self.client.close()

    def _register(self, name: str) -> Any:
        raise NotImplementedError

    def _move(self, buffers: Sequence[Audio], position: int, frames: int) -> None:
        raise NotImplementedError

    def _cycle(self, frames: int) -> None:
        start = self._transport.start
        position = -frames if start is None else self.client.last_frame_time - start
        if 0 <= position < len(self.audio) and position != self._next:
            self.late = True  # a cycle was lost, or the start was missed
        self._move([port.get_array() for port in self.ports], position, frames)
        if position >= 0:
            self._next = position + frames
        if position >= len(self.audio):
            self.done.set()


class Player(Client):
    """Plays `audio`, silence before and after."""

    def _register(self, name: str) -> Any:
        return self.client.outports.register(name)

    def _move(self, buffers: Sequence[Audio], position: int, frames: int) -> None:
        for channel, buffer in enumerate(buffers):
            buffer[:] = 0
            if 0 <= position < len(self.audio):
                part = self.audio[position : position + frames, channel]
                buffer[: len(part)] = part


class Recorder(Client):
    """Fills `audio`."""

    def _register(self, name: str) -> Any:
        return self.client.inports.register(name)

    def _move(self, buffers: Sequence[Audio], position: int, frames: int) -> None:
        if 0 <= position < len(self.audio):
            for channel, buffer in enumerate(buffers):
                part = self.audio[position : position + frames, channel]
                part[:] = buffer[: len(part)]


class LiveProcess:
    """`soloist live …` on a server, what it prints being collected."""

    def __init__(self, server: Server, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "soloist", "live", *arguments],
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self.errors)

    @property
    def player(self) -> int:
        """The process that plays: the only child."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def wait_for(self, words: str) -> None:
        """Until it has said `words`; "READY" is said when audio runs."""
        with self._news:
            self._news.wait_for(lambda: words in self.text or self._ended, PATIENCE_S)
        assert words in self.text, f"soloist live did not say {words!r}: {self.text}"

    def finish(self, timeout: float = PATIENCE_S) -> int:
        """Waits for it to end; its exit code."""
        code = self.process.wait(timeout)
        self._reader.join(PATIENCE_S)
        return code

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.finish()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self._news:
                    self.errors.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@dataclass(frozen=True)
class Recording:
    """What the recorder heard from the frame on at which the player began."""

    audio: Audio
    text: str  # the standard error of soloist live
    code: int


def soon(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether it holds before long."""
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


StartServer = Callable[..., JackServer]
RunLive = Callable[..., LiveProcess]


def _missing() -> str | None:
    if shutil.which("jackd") is None:
        return "jackd is not installed"
    try:
        import jack  # noqa: F401
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        return str(error)
    return None


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """`start_server(rate=, period=, channels=)` starts a JACK server for this test. Skips where
    there is none, but not under CI, where these tests must run."""
    if missing := _missing():
        reason = f"no audio server: {missing} (tools/install-audio-servers installs it)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with contextlib.ExitStack() as servers:
        yield lambda **options: servers.enter_context(JackServer(**options))


@pytest.fixture
def run_live(start_server: StartServer, start_live: RunLive) -> RunLive:
    """`run_live(server, *arguments)` runs `soloist live`. Gone before the server goes."""
    return start_live


@pytest.fixture
def start_live() -> Iterator[RunLive]:
    """As `run_live`, where the server is the environment that it gives its clients."""
    with contextlib.ExitStack() as processes:

        def start(server: Server, *arguments: str) -> LiveProcess:
            process = LiveProcess(server, *arguments)
            processes.callback(process.kill)
            return process

        yield start


@pytest.fixture
def play_through(run_live: RunLive) -> Callable[..., Recording]:
    """`play_through(server, audio, *arguments, outputs=2, tail=8192)` plays `audio` through
    `soloist live` on the devices "daw" and "rec", in freewheel, and records `tail` frames more.
    With `insert` they are no devices: it is told `--jack`, and a patchbay connects them."""

    def play(
        server: JackServer,
        audio: Audio,
        *arguments: str,
        outputs: int,
        tail: int = 8192,
        insert: bool = False,
    ) -> Recording:
        transport = Transport()
        heard = np.zeros((len(audio) + tail, outputs), np.float32)
        with contextlib.ExitStack() as clients:
            player = Player(server, "daw", audio, transport)
            clients.callback(player.close)
            recorder = Recorder(server, "rec", heard, transport)
            clients.callback(recorder.close)
            ends = ("--jack",) if insert else ("-i", "daw", "-o", "rec")
            live = run_live(server, *ends, *arguments)
            live.wait_for("READY")
            for channel in range(1, audio.shape[1] + 1) if insert else ():
                server.connect(f"daw:daw_{channel}", f"soloist:in_{channel}")
                server.connect(f"soloist:out_{channel}", f"rec:rec_{channel}")
            # A cycle's first frame, so far ahead that no client can have passed it unawares.
            transport.start = recorder.client.last_frame_time + 100 * server.period
            with server.freewheel():
                assert recorder.done.wait(PATIENCE_S), "the recording did not end"
            assert not (player.late or recorder.late), "JACK lost a cycle"
            code = live.end()
        return Recording(heard, live.text, code)

    return play


@pytest.fixture
def plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_bundle: Callable[..., Any]
) -> LivePlan:
    """Plays half of a toy's input, through the sound system above."""
    (tmp_path / "sounddevice.py").write_text(SOUND_SYSTEM)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    gates = np.zeros((1, 8), np.float32)  # sigmoid(0): masks of one half
    return LivePlan(str(toy_bundle().path), conditioning=gates, wait=True, device="cpu")
