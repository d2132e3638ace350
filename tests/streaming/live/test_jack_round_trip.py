"""A round trip that is known to the frame: JACK's own ports, connected to each other."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.jack, pytest.mark.timeout(180)]

Make = Callable[..., Any]


@pytest.mark.parametrize("period", [128, 256])
def test_ports_connected_to_each_other_are_a_period_apart(start_server: Make, period: int) -> None:
    command = [sys.executable, "-m", "soloist", "bench", "--loopback", "--jack", "--json", "-"]
    environment = start_server(period=period).environment
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
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
