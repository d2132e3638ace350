"""A round trip that is known to the frame: JACK's own ports, connected to each other."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]


def connect_own_ports(server: Any, until: subprocess.Popen[str]) -> None:
    """Outputs of the one client that is not the server's to its inputs, whenever it has some."""
    while until.poll() is None:
        listed = subprocess.run(
            ["jack_lsp"], env=server.environment, capture_output=True, text=True
        )
        ours = [port for port in listed.stdout.split() if not port.startswith("system:")]
        for out in (port for port in ours if ":out_" in port):
            pair = [out, out.replace(":out_", ":in_")]
            subprocess.run(["jack_connect", *pair], env=server.environment, capture_output=True)
        time.sleep(0.1)


@pytest.mark.parametrize("period", [128, 256])
def test_ports_connected_to_each_other_are_a_period_apart(start_server: Make, period: int) -> None:
    server = start_server(period=period)
    command = ["-m", "soloist", "bench", "--loopback", "-i", "system", "-o", "system"]
    process = subprocess.Popen(
        [sys.executable, *command, "--json", "-"],
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    connect_own_ports(server, process)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    report = json.loads(out)
    assert report["plain"]["frames"] == pytest.approx(period, abs=1e-3)
    assert report["claimed_frames"] == 128  # of the shipped model, whatever the period
    # Its masks are complex: the phase that they turn moves the peak by some hundredths.
    assert report["added_frames"] == pytest.approx(128, abs=0.1)


def test_ports_that_nothing_connects_are_said_to_be_silent(start_server: Make) -> None:
    command = [sys.executable, "-m", "soloist", "bench", "--loopback", "-i", "system"]
    ended = subprocess.run(
        [*command, "-o", "system"], env=start_server().environment, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "soloist: signal below threshold" in ended.stderr
    assert "is the cable in" in ended.stderr
