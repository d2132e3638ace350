"""The benchmark of how a live session starts, on a real server."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]


def test_start_and_memory_are_measured(
    start_server: Callable[..., Any], toy_bundle: Callable[..., Any]
) -> None:
    command = "-m soloist.benchmarks.live_start --runs 1 --json -- --client-name toy -m"
    done = subprocess.run(
        [sys.executable, *command.split(), str(toy_bundle().path)],
        env=start_server().environment,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert run["processor_s"] > 0.0
    assert 0.05 < run["first_sound_s"] < 60.0
    # An interpreter with numpy and onnxruntime takes at least this.
    assert 30.0 < run["player_mb"] < 1000.0
