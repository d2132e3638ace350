"""How the command line behaves as a whole: help, exit codes, streams, and what it never loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from soloist import __version__
from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import DeviceLost

Run = Callable[..., Any]
COMMANDS = (
    *("demo", "devices", "live", "separate", "info", "export", "queries", "evaluate"),
    "diagnostics",
)


def test_without_arguments_it_helps(soloist: Run) -> None:
    result = soloist()
    assert result.code == 0
    for command in COMMANDS:
        assert f"  {command} " in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(soloist: Run, command: str) -> None:
    result = soloist(command, "-h")
    assert result.code == 0
    assert result.out.startswith(f"Usage: soloist {command} ")
    assert result.err == ""


def test_version(soloist: Run) -> None:
    assert soloist("--version").out == f"soloist {__version__}\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["frobnicate"], "No such command 'frobnicate'. (soloist --help says more)"),
        (["separate", "--frob"], "No such option: --frob (soloist separate --help says more)"),
        (["separate", "in.wav"], "OUT"),
        (["separate", "in.wav", "out.wav", "--block-size", "0"], "--block-size"),
        (["separate", "in.wav", "out.wav", "-b", "many"], "--block-size"),
        (["live", "--channels", "0"], "--channels"),
        (["queries", "-n", "0"], "--count"),
        (["evaluate"], "--mixtures"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(
    soloist: Run, line: list[str], expected: str
) -> None:
    assert expected in soloist(*line).refusal


def test_a_fault_of_ours_is_one_line_and_a_hint(
    soloist: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("out of\ncheese")

    monkeypatch.setattr(Bundle, "open", fail)
    result = soloist("info")
    assert result.code == 1
    assert result.err == (
        "soloist: a fault of ours, RuntimeError: out of cheese; --debug shows where\n"
    )
    result = soloist("info", "--debug")
    assert result.code == 1
    assert "Traceback" in result.err and "out of\ncheese" in result.err


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (DeviceLost("the cable came out"), 3)]
)
def test_exit_codes_of_the_other_endings(
    soloist: Run, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    def fail(name: str) -> None:
        raise raised

    monkeypatch.setattr(Bundle, "open", fail)
    result = soloist("info")
    assert result.code == code
    assert "Traceback" not in result.err


def test_ctrl_c_leaves_nothing_half_written(toy: str, tmp_path: Path) -> None:
    # Sample by sample a minute takes far longer than until the signal comes, on any machine.
    soundfile.write(tmp_path / "long.wav", [0.0] * 48000 * 60, 48000)
    output = tmp_path / "out.wav"
    command = ["separate", tmp_path / "long.wav", output, "--model", toy, "--block-size", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "soloist", *map(str, command)], stderr=subprocess.PIPE, text=True
    ) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    # On a slow machine all may still be loading, and the signal ends the process by itself, which
    # a shell calls 130 as well.
    assert process.returncode in (130, -signal.SIGINT)
    assert err == ""
    assert sorted(os.listdir(tmp_path)) == ["long.wav"]


LIST = (
    "id,target_file,target_start_s,target_offset_s,target_class,interferer_files,"
    "interferer_starts_s,interferer_offsets_s,snr_db,duration_s,query,query_kind,n_sources\n"
    "a,tone.wav,0,0,dog,tone.wav,0,0,0,0.4,dog,seen,2\n"
)


def test_commands_load_no_torch(demo_for_toy: str, tmp_path: Path) -> None:
    """All but `export`; and none but those of sound devices loads PortAudio."""
    model = ["-m", demo_for_toy]
    soundfile.write(tmp_path / "tone.wav", [0.1] * 48000, 48000)
    (tmp_path / "list.csv").write_text(LIST)
    lists = ["--mixtures", "list.csv", "--audio-root", "."]
    quiet = [["--help"], ["info", demo_for_toy], ["queries", *model, "dog"], ["queries", *model]]
    quiet.append(["separate", "tone.wav", "out.wav", *model, "-q", "dog"])
    quiet.append(["separate", "tone.wav", "out.wav", "-q", "words that no model knows"])
    quiet.append(["demo", *model])
    quiet.append(["evaluate", *lists, *model])
    quiet.append(["diagnostics"])
    # With PortAudio or without, with devices or without.
    audible = [["live", *model, "-i", "a device of this name"], ["devices"]]
    code = f"""
import pathlib, sys
from soloist.app.cli import run
heavy = {{"torch", "onnx", "sentence_transformers", "transformers"}}
for line in {quiet!r}:
    if line[0] == "demo":
        from soloist.app import demo
        demo.ASSETS = pathlib.Path({str(tmp_path / "assets")!r})
    assert run(line) == 0, line
    assert not (heavy | {{"sounddevice"}}) & set(sys.modules), line
for line in {audible!r}:
    assert run(line) in (0, 2), line
    assert not heavy & set(sys.modules), line
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes it")
def test_without_a_standard_output(toy: str) -> None:
    """As of programs that nobody looks at."""
    line = [sys.executable, "-m", "soloist", "info", toy]
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *line], capture_output=True, text=True)
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_an_output_that_lacks_letters(toy: str, encoding: str) -> None:
    """JSON stays JSON, and for people what is missing is spelled out."""
    line = [sys.executable, "-m", "soloist", "queries", "-m", toy, "gn\u00fc \u6253"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    found = subprocess.run([*line, "--json"], capture_output=True, env=environment)
    assert list(json.loads(found.stdout.decode(encoding))) == ["gn\u00fc \u6253"]
    found = subprocess.run(line, capture_output=True, env=environment)
    assert found.returncode == 0
    told = found.stdout.decode(encoding).partition(":")[0]
    assert told.replace("\\xfc", "\u00fc").replace("\\u6253", "\u6253") == "gn\u00fc \u6253"
