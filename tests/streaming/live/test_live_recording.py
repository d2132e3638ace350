"""Recording in the process that plays: files that are whole, however that process ends."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from soloist.runtime.errors import AudioFileError, DeviceLost
from soloist.streaming.live.plan import LivePlan
from soloist.streaming.live.process import LiveProcess
from soloist.streaming.live.recorder import Recorded, RecordingPlan
from soloist.streaming.live.report import Report

Audio = NDArray[np.float32]
Make = Callable[..., Any]

RATE = 48_000
# The sound system of conftest.py, whose device is pulled out after 100 blocks.
PULLED = """
class Stream(Stream):
    def _run(self):
        callback, self._callback = self._callback, lambda *_: None
        given = np.full((128, 1), 0.5, np.float32)
        for _ in range(100):
            callback(given, np.empty_like(given), 128, None, None)
            time.sleep(128 / 48000)
        self.active = False
"""


def tracks(recorded: Recorded) -> dict[str, Audio]:
    files = Path(recorded.folder).glob("*.wav")
    return {file.stem: soundfile.read(file, dtype="float32")[0] for file in files}


def check(found: dict[str, Audio]) -> None:
    """All of a length, and a constant of 0.5 of which the toy takes half."""
    assert set(found) == {"input", "a-dog", "residual"}
    frames = min(map(len, found.values()))
    assert frames > 0
    inside = slice(frames // 2, frames)
    for name, level in (("input", 0.5), ("a-dog", 0.25), ("residual", 0.25)):
        assert np.abs(found[name][inside] - level).max() < 1e-3, name
    parts = found["a-dog"][:frames] + found["residual"][:frames]
    assert np.abs(parts - found["input"][:frames]).max() < 1e-6


@pytest.fixture
def process(plan: LivePlan, tmp_path: Path) -> Iterator[LiveProcess]:
    with LiveProcess() as process:
        yield process


@pytest.fixture
def recording(plan: LivePlan, tmp_path: Path) -> LivePlan:
    return replace(plan, recording=RecordingPlan(str(tmp_path / "takes"), ("a-dog",)))


def recorded(process: LiveProcess, seconds: float) -> Report:
    """The report when so much has been recorded."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        report = process.check()
        if report.recording is not None and report.recording.frames >= seconds * RATE:
            return report
        time.sleep(0.01)
    raise AssertionError(process.report())


def test_it_records_and_ends(process: LiveProcess, recording: LivePlan) -> None:
    process.start(recording)
    recorded(process, 0.3)
    last = process.stop().recording
    assert last is not None
    check(found := tracks(last))
    assert {len(track) for track in found.values()} == {last.frames}
    assert (last.lost, last.error) == (0, "")


def test_it_records_between_two_devices(process: LiveProcess, recording: LivePlan) -> None:
    """Whose clocks here disagree by far too much for a constant; what is played is recorded."""
    process.start(replace(recording, input_device="mic"))
    recorded(process, 0.3)
    last = process.stop().recording
    assert last is not None
    found = tracks(last)
    assert {len(track) for track in found.values()} == {last.frames}
    assert np.abs(found["input"]).max() > 0.4
    assert np.abs(found["a-dog"] + found["residual"] - found["input"]).max() < 1e-6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_files_are_whole_after_a_signal(
    process: LiveProcess, recording: LivePlan, number: int
) -> None:
    process.start(recording)
    report = recorded(process, 0.3)
    os.kill(process._process.pid, number)
    process._process.wait(20)
    assert report.recording is not None
    check(found := tracks(report.recording))
    if number == signal.SIGTERM:
        last = process.report()
        assert last.stage == "ended" and last.recording is not None
        assert {len(track) for track in found.values()} == {last.recording.frames}


def test_files_are_whole_after_a_device_was_lost(
    process: LiveProcess, recording: LivePlan, tmp_path: Path
) -> None:
    with (tmp_path / "sounddevice.py").open("a") as system:
        system.write(PULLED)
    process.start(recording)
    with pytest.raises(DeviceLost, match="audio device lost"):
        recorded(process, 60)
    last = process.report().recording
    process.begin_again(replace(recording, recording=None))  # which kills it at once
    assert last is not None
    check(found := tracks(last))
    assert {len(track) for track in found.values()} == {last.frames}


def test_a_place_that_takes_no_files_is_refused(
    process: LiveProcess, recording: LivePlan, tmp_path: Path
) -> None:
    (tmp_path / "takes").write_text("in the way")
    with pytest.raises(AudioFileError, match="cannot record into"):
        process.start(recording)


@pytest.mark.jack
@pytest.mark.timeout(180)
def test_recorded_on_a_real_server(
    start_server: Make, play_through: Make, toy_bundle: Make, tmp_path: Path
) -> None:
    """What was played is in the file to the bit, and what is heard is the stem's file."""
    rng = np.random.default_rng(3)
    audio = rng.uniform(-0.3, 0.3, (RATE, 2)).astype(np.float32)
    takes = tmp_path / "takes"
    model = ("-m", str(toy_bundle().path), "-q", "dog", "--record", str(takes))
    heard = play_through(start_server(), audio, *model, outputs=2)
    (folder,) = takes.iterdir()
    assert re.search(f"recorded .* s into {re.escape(str(folder))}", heard.text)
    assert "samples of it are silence" not in heard.text
    given, stem, rest = (
        soundfile.read(folder / f"{track}.wav", dtype="float32")[0]
        for track in ("input", "dog", "residual")
    )
    start = int(np.flatnonzero(given[:, 0])[0])
    assert np.array_equal(given[start : start + len(audio)], audio)
    first = int(np.flatnonzero(heard.audio[:, 0])[0])
    mine = int(np.flatnonzero(stem[:, 0])[0])
    assert np.array_equal(stem[mine : mine + RATE], heard.audio[first : first + RATE])
    power = np.square(given).mean()
    assert np.square(stem + rest - given).mean() < 1e-12 * power
