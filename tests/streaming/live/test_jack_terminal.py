"""`soloist live` as a person at a terminal has it, on a real JACK server, and as a program has it.

A client of the server plays a constant into it and hears what comes back.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from soloist.runtime.queries import conditioning_for
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

if sys.platform == "win32":
    pytest.skip("Windows has neither terminals of this kind nor JACK", allow_module_level=True)

import fcntl
import termios

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]
PATIENCE_S = 60.0
SCHEMA = Path(__file__).parents[3] / "docs" / "live-events.schema.json"


class Listener:
    """A device "desk": gives 0.5 and hears, as `peak`, the loudest of the latest cycle."""

    def __init__(self, server: Any) -> None:
        import jack

        self.peak = 0.0
        self.client = jack.Client("desk", no_start_server=True, servername=server.name)
        self._mouth = self.client.outports.register("mouth")
        self._ear = self.client.inports.register("ear")
        self.client.set_process_callback(self._cycle)
        self.client.activate()

    def _cycle(self, _: int) -> None:
        self._mouth.get_array()[:] = 0.5
        self.peak = float(np.abs(self._ear.get_array()).max())

    def hears(self, level: float) -> None:
        """Waits for that level."""
        until(lambda: abs(self.peak - level) < 0.01, lambda: f"heard {self.peak}, not {level}")


class Terminal:
    """A program on a terminal of its own, in a session whose foreground it is."""

    def __init__(self, server: Any, command: list[str], **environment: str) -> None:
        self.ours, theirs = os.openpty()
        self.resize(24, 80, theirs)
        self.before = termios.tcgetattr(theirs)
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command],
            env={**server.environment, "TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self._theirs = theirs  # kept, so that its settings can be looked at afterwards
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, rows: int, columns: int, end: int | None = None) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.ours if end is None else end, termios.TIOCSWINSZ, size)

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def shows(self, text: str) -> None:
        """Waits until `text` was written since the last time; colours aside."""
        until(lambda: text in plain(self.seen), lambda: f"no {text!r} in {self.seen[-4000:]}")
        self.seen = ""

    @property
    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._theirs)
        self._reader.join(PATIENCE_S)
        os.close(self.ours)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(self.ours, 65536):
                self.seen += piece.decode("utf-8", "replace")


# A session has no terminal until it takes one, which a shell would do.
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)


def child(process: subprocess.Popen[Any]) -> int:
    """The process that plays."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(children.read_text().split()[0])


def until(holds: Callable[[], bool], problem: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, problem()
        time.sleep(0.02)


@pytest.fixture
def desk(start_server: Make) -> Iterator[tuple[Any, Listener]]:
    server = start_server()
    listener = Listener(server)
    yield server, listener
    listener.client.deactivate()
    listener.client.close()


@pytest.fixture
def at_terminal(desk: tuple[Any, Listener], toy_bundle: Make) -> Iterator[Make]:
    """`at_terminal(*arguments, NO_COLOR="1")` plays the desk through a toy of two words; with
    `shell` as a job of one."""
    with contextlib.ExitStack() as terminals:

        def start(
            *arguments: str,
            shell: bool = False,
            ends: Sequence[str] = ("-i", "desk", "-o", "desk"),
            **environment: str,
        ) -> Terminal:
            command = [sys.executable, "-m", "soloist", "live", *ends]
            command += ["--wait", "-m", str(toy_bundle(queries=2).path), *arguments]
            if shell:
                terminal = Terminal(desk[0], ["bash", "--norc", "-i"], PS1="$ ", **environment)
                terminal.type(f"{shlex.join(command)}\n")
            else:
                terminal = Terminal(desk[0], command, **environment)
            terminals.callback(terminal.close)
            return terminal

        yield start


def test_keys_change_what_is_heard(desk: tuple[Any, Listener], at_terminal: Make) -> None:
    listener = desk[1]
    terminal = at_terminal("--rest", "0")  # all gains at 0 dB: the input comes back
    terminal.shows("b bypass")
    assert not terminal.settings[3] & termios.ECHO
    listener.hears(0.5)
    terminal.type("3m1m2m")
    listener.hears(0.0)
    terminal.type("b")
    terminal.shows("BYPASS")
    listener.hears(0.5)
    terminal.type("b1m2m3m")
    listener.hears(0.5)
    terminal.type("1------2\x1b[D\x1b[D\x1b[D\x1b[D---\t------")  # each 6 dB down; one is at -7
    terminal.type("2+")
    listener.hears(0.5 * 10 ** (-6 / 20))


def test_what_keys_turned_is_saved(at_terminal: Make, tmp_path: Path) -> None:
    saved = tmp_path / "it.toml"
    terminal = at_terminal("--save-preset", str(saved))
    terminal.shows("b bypass")
    assert "gain" not in tomllib.loads(saved.read_text("utf-8"))  # as soon as audio runs
    terminal.type("2+++1mbq")
    assert terminal.process.wait(PATIENCE_S) == 0
    kept = tomllib.loads(saved.read_text("utf-8"))
    assert (kept["gain"], kept["rest"]) == ([-math.inf, 3.0], -math.inf)


def test_keys_and_screen_go_on_without_a_server(
    desk: tuple[Any, Listener], at_terminal: Make
) -> None:
    terminal = at_terminal()
    terminal.shows("b bypass")
    desk[0].process.kill()
    terminal.shows("audio device lost")
    terminal.type("b")
    terminal.shows("BYPASS")
    terminal.type("q")
    assert terminal.process.wait(PATIENCE_S) == 0


def offline(toy: Any, *words: str) -> float:
    """What a constant of 0.5 comes to, kept by these words of a toy."""
    constant = np.full((48_000, 1), 0.5, np.float32)
    conditioning = conditioning_for(toy.bundle, words)
    kept = separate_array(Processor(toy.bundle, conditioning=conditioning), constant, 48_000)
    return float(kept[24_000, 0])


def test_other_words_are_typed(
    desk: tuple[Any, Listener], at_terminal: Make, toy_bundle: Make, tmp_path: Path
) -> None:
    """Words that are none change nothing; others are heard, saved, and there after a loss."""
    toy, saved = toy_bundle(queries=2), tmp_path / "it.toml"
    before, after = offline(toy, "dog", "rain"), offline(toy, "dog", "police siren")
    assert abs(before - after) > 0.05
    terminal = at_terminal("--save-preset", str(saved))
    terminal.shows("w words")
    desk[1].hears(before)
    terminal.type("2wa gnu\n")
    terminal.shows("is not a word toy knows")
    terminal.type("\x15pol")
    terminal.shows("police siren")
    terminal.type("\t\n")
    terminal.shows("keep dog, police siren")
    desk[1].hears(after)
    os.kill(child(terminal.process), signal.SIGKILL)
    terminal.shows("audio is back, latency")
    desk[1].hears(after)
    terminal.type("q")
    assert terminal.process.wait(PATIENCE_S) == 0
    until(lambda: "police siren in place of rain" in terminal.seen, lambda: terminal.seen)
    assert tomllib.loads(saved.read_text("utf-8"))["queries"] == ["dog", "police siren"]


def test_an_insert_says_what_is_not_connected(
    desk: tuple[Any, Listener], at_terminal: Make
) -> None:
    server = desk[0]
    terminal = at_terminal("--jack", "-c", "1", ends=())
    terminal.shows("nothing is connected to in_1, out_1: a DAW or a patchbay does that")
    server.connect("desk:mouth", "soloist:in_1")
    terminal.shows("nothing is connected to out_1: ")
    server.connect("soloist:out_1", "desk:ear")
    until(lambda: "connected" not in plain(terminal.seen), lambda: terminal.seen)
    terminal.seen = ""
    time.sleep(0.5)
    assert "connected" not in plain(terminal.seen)


def test_the_screen_comes_and_goes(at_terminal: Make) -> None:
    terminal = at_terminal()
    until(lambda: "\x1b[?1049h" in terminal.seen, lambda: terminal.seen)
    terminal.shows("Load of a block")
    terminal.type("?")
    terminal.shows("solo it: only what is soloed is heard")
    terminal.resize(16, 50)
    terminal.shows("? help  q quit")
    terminal.type("q")
    assert terminal.process.wait(PATIENCE_S) == 0
    until(lambda: "blocks, process p50" in terminal.seen, lambda: terminal.seen)
    other, _, after = terminal.seen.rpartition("\x1b[?1049l")
    assert other and "blocks, process p50" in after
    assert "READY" not in terminal.seen
    assert terminal.settings == terminal.before


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_signals_give_the_terminal_back(at_terminal: Make, ends: signal.Signals) -> None:
    terminal = at_terminal()
    terminal.shows("Load of a block")
    if ends == signal.SIGINT:
        terminal.type("\x03")  # Ctrl-C
    else:
        terminal.process.send_signal(ends)
    assert terminal.process.wait(PATIENCE_S) == 128 + ends
    assert terminal.settings == terminal.before
    until(lambda: "\x1b[?1049l" in terminal.seen, lambda: terminal.seen)


def test_a_crash_gives_the_terminal_back(at_terminal: Make, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from soloist.app.live.desk import Desk\n"
        "def fail(self, key):\n    raise RuntimeError('a bug')\n"
        "Desk.press = fail\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    terminal = at_terminal(PYTHONPATH=path)
    terminal.shows("Load of a block")
    terminal.type("m")
    assert terminal.process.wait(PATIENCE_S) == 1
    until(lambda: "a fault of ours, RuntimeError: a bug" in terminal.seen, lambda: terminal.seen)
    assert "\x1b[?1049l" in terminal.seen
    assert terminal.settings == terminal.before


@pytest.mark.skipif(shutil.which("bash") is None, reason="the job control is bash's")
def test_a_stopped_job_plays_on(desk: tuple[Any, Listener], at_terminal: Make) -> None:
    """Ctrl-Z gives the terminal back to the shell, fg takes it again; audio never ends."""
    terminal = at_terminal("--rest", "0", shell=True)
    terminal.shows("Load of a block")
    terminal.type("\x1a")
    terminal.shows("audio goes on; fg brings the screen back")
    terminal.type("echo at the $((6 * 7))\n")
    terminal.shows("at the 42")
    desk[1].peak = 0.0
    desk[1].hears(0.5)
    terminal.type("fg\n")
    terminal.shows("Load of a block")
    terminal.type("q")
    until(lambda: "blocks, process p50" in terminal.seen, lambda: terminal.seen)


def test_no_colours_where_none_are_wanted(at_terminal: Make) -> None:
    terminal = at_terminal(NO_COLOR="1")
    until(lambda: "Load of a block" in plain(terminal.seen), lambda: terminal.seen)
    found = re.findall(r"\x1b\[([\d;]*)m", terminal.seen)
    assert {code for codes in found for code in codes.split(";")} <= {"", "0", "1", "2"}
    coloured = at_terminal()
    until(lambda: "Load of a block" in plain(coloured.seen), lambda: coloured.seen)
    assert "\x1b[38;5;" in coloured.seen or "38;5;" in coloured.seen


def test_devices_that_come_back_play_as_the_desk_was_left(
    desk: tuple[Any, Listener], at_terminal: Make
) -> None:
    """The process that plays is killed; muted is muted in the next one."""
    listener = desk[1]
    terminal = at_terminal("--rest", "0")
    terminal.shows("b bypass")
    listener.hears(0.5)
    terminal.type("1m2m3m")
    listener.hears(0.0)
    os.kill(child(terminal.process), signal.SIGKILL)
    terminal.shows("the audio process ended (signal 9)")
    terminal.shows("audio is back, latency")
    time.sleep(0.3)
    listener.hears(0.0)
    terminal.type("b")
    listener.hears(0.5)
    terminal.type("q")
    assert terminal.process.wait(PATIENCE_S) == 0
    until(lambda: "blocks, process p50" in terminal.seen, lambda: terminal.seen)
    assert re.search(r"at 0:\d\d: audio is back", terminal.seen)  # said again where it stays


@pytest.fixture
def events(desk: tuple[Any, Listener], toy_bundle: Make) -> Iterator[Make]:
    """`events(*arguments)` plays the desk through a toy of two words; what a program reads."""
    with contextlib.ExitStack() as processes:

        def start(*arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "soloist", "live", "-i", "desk", "-o", "desk"]
            command += ["--json", "--wait", "-m", str(toy_bundle(queries=2).path), *arguments]
            live = processes.enter_context(
                subprocess.Popen(
                    command,
                    env=desk[0].environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            processes.callback(live.kill)
            return live

        yield start


def test_events_for_programs(events: Make, tmp_path: Path) -> None:
    """A run with a loss and a recording: each line as the schema has it, levels as played."""
    live = events("--record", str(tmp_path))
    told: list[dict[str, Any]] = []
    for line in live.stdout:
        told.append(json.loads(line))
        names = [event["event"] for event in told]
        if names[-2:] == ["figures", "figures"] and "device-lost" not in names:
            os.kill(child(live), signal.SIGKILL)
        if names[-2:] == ["audio-back", "figures"]:
            live.send_signal(signal.SIGINT)
    said = live.stderr.read()
    assert live.wait(PATIENCE_S) == 130
    assert "READY\n" in said and "audio is back" in said
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    for event in told:
        validator.validate(event)
    # JACK may tell the delay of the graph a moment after the start.
    often = ("figures", "latency-changed")
    names = [event["event"] for event in told if event["event"] not in often]
    assert names == ["started", "device-lost", "audio-back", "ended"]
    started, ended = told[0], told[-1]
    figures, later = [event for event in told if event["event"] == "figures"][:2]
    assert started["input"] == {"device": "desk, JACK Audio Connection Kit", "channels": 1}
    assert len(started["queries"]) == 2
    assert started["latency"]["samples"] == sum(started["latency"]["parts"].values())
    assert Path(started["folder"]).is_dir()
    assert figures["levels"]["input"]["peak"] == pytest.approx(-6.02, abs=0.01)
    assert figures["levels"]["input"]["rms"] == pytest.approx(-6.02, abs=0.01)  # of a constant
    assert len(figures["levels"]["stems"]) == 2
    assert 0.9 < later["time"] - figures["time"] < 30
    assert ended["exit_code"] == 130 and ended["blocks"] > 0


def test_a_program_that_listens_no_more_ends_it(events: Make) -> None:
    live = events()
    assert json.loads(live.stdout.readline())["event"] == "started"
    live.stdout.close()
    said = live.stderr.read()
    assert live.wait(PATIENCE_S) == 0
    assert "soloist live: " in said and "fault of ours" not in said and "Traceback" not in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
def test_processors_are_kept_awake_for_as_long_as_it_plays(events: Make) -> None:
    """Programs see that it is so; no loop is left behind, however the process ends."""

    def loops() -> list[str]:
        every = (Path(entry, "cmdline") for entry in Path("/proc").glob("[0-9]*"))
        lines = []
        for command in every:
            with contextlib.suppress(OSError):
                lines.append(command.read_bytes().decode(errors="replace"))
        return [line for line in lines if "SCHED_IDLE" in line]

    before = len(loops())
    live = events("--keep-awake")
    started = json.loads(live.stdout.readline())
    assert started["event"] == "started"
    sleeps = Path("/sys/devices/system/cpu/cpuidle/current_driver")
    virtual = not sleeps.exists() or sleeps.read_text().strip() == "none"
    if virtual:
        assert started["kept_awake"]
        cores = len(os.sched_getaffinity(0))
        until(lambda: len(loops()) == before + cores, lambda: "\n".join(loops()))
    live.kill()
    until(lambda: len(loops()) == before, lambda: "\n".join(loops()))
