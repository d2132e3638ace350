"""Tuning on a real server: what is written plays, and the server's block size is what was found."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.jack, pytest.mark.timeout(300)]

Make = Callable[..., Any]


def tune(server: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Any machine holds that: here it is about the way there, not about the machine.
    easy = ["--misses", "0.99", "--seconds", "0.5"]
    command = [sys.executable, "-m", "soloist", "tune", *arguments, *easy]
    return subprocess.run(command, env=server.environment, capture_output=True, text=True)


def test_what_is_found_is_a_preset_that_live_plays(
    start_server: Make, run_live: Make, toy_bundle: Make, tmp_path: Path
) -> None:
    server, preset = start_server(), tmp_path / "fast.toml"
    devices = ("-i", "0", "-o", "system", "-m", str(toy_bundle().path), "-q", "dog")
    ended = tune(server, str(preset), *devices, "--json")
    assert ended.returncode == 0, ended.stderr
    (tried,) = json.loads(ended.stdout)["tried"]
    assert (tried["block"], tried["verdict"]) == (128, "holds")
    assert tried["machine_blocks"] > 0
    saved = tomllib.loads(preset.read_text("utf-8"))
    label = "system, JACK Audio Connection Kit"
    assert (saved["input_device"], saved["output_device"]) == (label, label)
    assert (saved["block_size"], saved["schedule"], saved["threads"]) == (128, "inline", 1)
    played = run_live(server, str(preset), "--duration", "0.2")
    assert played.finish() == 0, played.text


def test_the_server_keeps_the_block_size_that_was_found(
    start_server: Make, toy_bundle: Make, tmp_path: Path
) -> None:
    server = start_server(period=512)
    devices = ("-i", "system", "-o", "system", "-m", str(toy_bundle().path))
    ended = tune(server, str(tmp_path / "it.toml"), *devices, "--server-blocks", "128,256")
    assert ended.returncode == 0, ended.stderr
    assert tomllib.loads((tmp_path / "it.toml").read_text("utf-8"))["block_size"] == 128
    now = subprocess.run(["jack_bufsize"], env=server.environment, capture_output=True, text=True)
    assert "128" in now.stdout
