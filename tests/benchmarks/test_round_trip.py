"""Round trips through a sound system whose cable is of known length."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from soloist.benchmarks.round_trip import measure
from soloist.runtime.errors import DeviceError
from soloist.streaming.live.plan import LivePlan
from soloist.streaming.live.stream import LiveStream

BLOCK = 128
Loop = Callable[..., LivePlan]


class Stream:
    """Hears what it plays `delay` frames later, times `gain`; no block waits for its time."""

    delay, gain, noise = 1000, 0.5, 0.0
    latency = (0.004, 0.003)

    def __init__(self, callback: Any, channels: tuple[int, int], **_: object) -> None:
        self._callback, self._channels, self.active = callback, channels, False

    def start(self) -> None:
        self.active = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        waiting = np.zeros((self.delay, self._channels[1]), np.float32)
        rng = np.random.default_rng(0)
        while self.active:
            come, waiting = waiting[:BLOCK], waiting[BLOCK:]
            given = self.gain * come + self.noise * rng.standard_normal(come.shape)
            out = np.zeros((BLOCK, self._channels[1]), np.float32)
            self._callback(given.astype(np.float32), out, BLOCK, None, None)
            waiting = np.concatenate([waiting, out])
            time.sleep(1e-4)  # this thread may go before all others, which would have no turn

    def stop(self) -> None:
        self.active = False
        self._thread.join()

    def close(self) -> None:
        pass


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch, toy_bundle: Callable[..., Any]) -> Loop:
    """`loop(delay=1000, gain=0.5, noise=0.0)` makes such a cable; a plan that plays a toy on it."""

    def make(**cable: float) -> LivePlan:
        sounddevice = ModuleType("sounddevice")
        desk = {"name": "desk", "index": 0, "hostapi": 0, "default_samplerate": 48000.0}
        desk |= {"max_input_channels": 2, "max_output_channels": 2}
        vars(sounddevice).update(
            PortAudioError=type("PortAudioError", (Exception,), {}),
            Stream=type("Cable", (Stream,), cable),
            query_hostapis=lambda: [{"name": "Fake"}],
            query_devices=lambda kind=None: desk if kind else [desk],
            check_input_settings=lambda *_, **__: None,
            check_output_settings=lambda *_, **__: None,
        )
        monkeypatch.setitem(sys.modules, "sounddevice", sounddevice)
        gates = np.zeros((1, 8), np.float32)  # sigmoid(0): masks of one half
        return LivePlan(str(toy_bundle().path), conditioning=gates, wait=True, device="cpu")

    return make


def test_both_ways_and_their_difference(loop: Loop) -> None:
    moved: list[float] = []
    report = measure(loop(delay=1000, gain=-0.25), sweeps=2, moved=moved.append)
    for passage, gain in ((report.plain, -0.25), (report.through, -0.125)):
        assert passage.round_trip.gain_db == pytest.approx(20 * np.log10(abs(gain)), abs=0.01)
        assert passage.round_trip.inverted
        assert passage.clocks_ppm is None
    assert report.plain.round_trip.delay == pytest.approx(1000.0, abs=1e-3)
    assert report.added == pytest.approx(report.claimed, abs=0.01)
    assert report.claimed == BLOCK  # blocks of a hop: one hop of overlap
    # The cable is what no driver knows of: 1000 frames less 336 reported and a block.
    assert report.unexplained == pytest.approx(1000 - 336 - BLOCK, abs=0.01)
    assert 0.0 <= moved[0] <= moved[-1] == 1.0


def test_the_table_says_it_in_frames_and_milliseconds(loop: Loop) -> None:
    report = measure(loop(delay=960), sweeps=1)
    lines = {line[:34].strip(): line[34:].split() for line in report.table().splitlines()}
    assert lines["devices alone, measured"] == ["960.000", "20.000"]
    assert lines["as Soloist says"] == ["128.000", "2.667"]
    assert lines["driver in"] == ["192.000", "4.000"]
    data = report.json()
    assert data["claimed_frames"] == 128
    assert isinstance(data["plain"], dict) and data["plain"]["heard"] == 1


def test_no_cable_is_one_clear_line(loop: Loop) -> None:
    with pytest.raises(
        DeviceError, match=r"signal below threshold: .* heard silence; is the cable"
    ):
        measure(loop(gain=0.0), sweeps=1)
    with pytest.raises(DeviceError, match=r"heard a peak of -9. dBFS; is the cable in"):
        measure(loop(gain=0.0, noise=5e-6), sweeps=1)


def test_another_sound_is_another_line(loop: Loop) -> None:
    with pytest.raises(DeviceError, match=r"not found in what came in \(peak .* does the input"):
        measure(loop(gain=0.0, noise=0.1), sweeps=1)


def test_a_model_that_lets_nothing_through_is_said_to(loop: Loop) -> None:
    closed = replace(loop(noise=1e-3), conditioning=np.full((1, 8), -60.0, np.float32))
    with pytest.raises(DeviceError, match="after Soloist; ask for another sound"):
        measure(closed, sweeps=1)


def test_what_a_bridge_resamples_by_is_part_of_what_clocks_disagree_by(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveStream, "clock_speed", 60e-6)
    report = measure(loop(), sweeps=2)
    assert report.plain.clocks_ppm == pytest.approx(60.0, abs=0.1)
    assert "two clocks, +60.0 ppm apart" in report.table()
