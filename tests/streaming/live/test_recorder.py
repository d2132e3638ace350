"""Recordings line up with each other, leave the sound as it was, and end well whatever happens."""

import errno
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from soloist.runtime.errors import AudioFileError
from soloist.streaming.live import recorder as module
from soloist.streaming.live.recorder import Recorder, RecordingPlan
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]
Make = Callable[..., Any]


def read(recorder: Recorder, track: str, part: str = "", suffix: str = "wav") -> Audio:
    path = Path(recorder.state.folder) / f"{track}{part}.{suffix}"
    samples: Audio = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples


@pytest.fixture
def record(make_spec: Make, recurrent: Make, tmp_path: Path) -> Make:
    """`record(queries=, negatives=, rate=, channels=, ...)`: a processor that is ready to play, and
    its recorder, started."""

    def build(
        queries: int = 2,
        negatives: int = 0,
        rate: int = 48_000,
        channels: int = 1,
        block: int | None = 96,
        format: Any = "wav",
        **more: int,
    ) -> tuple[Processor, Recorder]:
        session = recurrent(make_spec(queries), channels=channels)
        processor = Processor(session, negatives=negatives)
        processor.prepare(rate, 512, channels, block=block)
        names = tuple(f"q{number}" for number in range(processor.queries))
        plan = RecordingPlan(str(tmp_path / "takes"), names, format)
        recorder = Recorder(plan, processor, rate, channels, **more)
        recorder.start()
        return processor, recorder

    return build


@pytest.mark.parametrize(
    ("choices", "blocks"),
    [
        ({"queries": 1}, [96]),
        ({"queries": 3, "channels": 2}, [96]),
        ({"queries": 3, "negatives": 1, "block": None}, [1, 700, 17, 0, 96]),
        ({"queries": 2, "rate": 44_100}, [96]),
        ({"queries": 1, "format": "flac", "channels": 2}, [96]),
    ],
    ids=["one", "stereo", "negatives", "44100", "flac"],
)
def test_stems_and_residual_are_the_input(
    record: Make, noise: Make, play: Make, error_db: Make, choices: dict[str, Any], blocks: Any
) -> None:
    processor, recorder = record(**choices)
    audio = 0.5 * noise(9600, choices.get("channels", 1))  # within what FLAC can hold
    mix = play(processor, audio, blocks)
    recorder.close()
    suffix = choices.get("format", "wav")
    given = read(recorder, "input", suffix=suffix)
    delay = processor.latency_samples
    tolerance = 2.0**-23 if suffix == "flac" else 0.0
    assert np.abs(given[delay:] - audio[:-delay]).max() <= tolerance
    assert not given[:delay].any()
    stems = [read(recorder, f"q{n}", suffix=suffix) for n in range(processor.queries)]
    residual = read(recorder, "residual", suffix=suffix)
    assert error_db(sum(stems) + residual, given) < -120
    assert np.abs(sum(stems) - mix).max() < 1e-5  # "keep": all stems are heard, the rest is not
    assert recorder.state.frames == len(audio) == len(residual)
    assert (recorder.state.lost, recorder.state.error) == (0, "")
    if choices.get("queries") == 3:  # the third one is something else, or a negative
        assert max(np.abs(stems[0] - stems[1]).max(), 0) > 0.01


def test_what_is_heard_is_the_same_to_the_bit(
    record: Make, ready: Make, make_spec: Make, recurrent: Make, noise: Make, play: Make
) -> None:
    audio = noise(9600)
    processor, recorder = record()
    processor.set("stem1.gain", -3.0)
    heard = play(processor, audio, [96])
    recorder.close()
    alone = ready(recurrent(make_spec(2)), block=96)
    alone.set("stem1.gain", -3.0)
    assert np.array_equal(heard, play(alone, audio, [96]))


def test_stems_are_those_of_the_splitter(
    record: Make, make_spec: Make, recurrent: Make, noise: Make, play: Make, ready: Make
) -> None:
    audio = noise(4800)
    processor, recorder = record()
    processor.set("stem1.mute", 1.0)  # recorded as separated, whatever the mixer does
    play(processor, audio, [96])
    recorder.close()
    expected = play(ready(recurrent(make_spec(2)), outputs="stems", block=96), audio, [96])
    for track, stem in zip(("q0", "q1", "residual"), expected, strict=True):
        assert np.array_equal(read(recorder, track), stem)


def test_a_recording_ends_where_it_is_closed(record: Make, noise: Make, play: Make) -> None:
    processor, recorder = record()
    play(processor, noise(960), [96])
    recorder.close()
    play(processor, noise(960), [96])
    assert len(read(recorder, "input")) == 960
    recorder.close()


def test_a_full_file_is_followed_by_another(record: Make, noise: Make, play: Make) -> None:
    processor, recorder = record(most_bytes=4 * 1000)
    audio = noise(2500)
    play(processor, audio, [96])
    recorder.close()
    for track in ("input", "q0", "q1", "residual"):
        lengths = [len(read(recorder, track, part)) for part in ("", ".2", ".3")]
        assert lengths == [1000, 1000, 500]
    whole = np.concatenate([read(recorder, "input", part) for part in ("", ".2", ".3")])
    delay = processor.latency_samples
    assert np.array_equal(whole[delay:], audio[:-delay])


def test_files_are_whole_while_it_plays(record: Make, noise: Make, play: Make) -> None:
    """So they are whole if the process is killed."""
    processor, recorder = record()
    play(processor, noise(4800), [96])
    deadline = time.monotonic() + 20
    while recorder.state.frames < 4800 and time.monotonic() < deadline:
        time.sleep(0.01)
    tracks = [read(recorder, track) for track in ("input", "q0", "q1", "residual")]
    assert {len(track) for track in tracks} == {4800}
    recorder.close()


def test_what_never_began_leaves_nothing(ready: Make, tmp_path: Path) -> None:
    recorder = Recorder(RecordingPlan(str(tmp_path / "takes"), ("q0",)), ready(), 48_000, 1)
    assert Path(recorder.state.folder).is_dir()
    recorder.close()
    assert list((tmp_path / "takes").iterdir()) == []


def test_two_recordings_of_one_second_are_two_folders(record: Make) -> None:
    recorders = [record()[1] for _ in range(3)]
    for recorder in recorders:
        recorder.close()
    assert len({recorder.state.folder for recorder in recorders}) == 3


def test_a_place_that_takes_no_files_is_refused(
    make_spec: Make, ready: Make, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    plan = RecordingPlan(str(tmp_path / "file"), ("q0",))
    with pytest.raises(AudioFileError, match=r"cannot record into .*file.*; choose another"):
        Recorder(plan, ready(), 48_000, 1)
    # FLAC has 8 channels at most.
    with pytest.raises(AudioFileError, match="cannot record into"):
        Recorder(RecordingPlan(str(tmp_path), ("q0",), "flac"), ready(), 48_000, 9)


# A disk that is full, or slow.


class Disk:
    """In place of a file: takes `room` frames, then has no space; waits while it is `busy`."""

    room = 10**9
    busy: threading.Event

    def __init__(self) -> None:
        self.taken: list[Audio] = []
        self.closed = False

    def write(self, audio: Audio) -> None:
        self.busy.wait()
        if sum(map(len, self.taken)) + len(audio) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken.append(audio.copy())

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Disk]]:
    made: dict[str, Disk] = {}
    monkeypatch.setattr(Disk, "busy", threading.Event(), raising=False)
    Disk.busy.set()

    def make(path: Path, *_: int) -> Disk:
        return made.setdefault(path.stem, Disk())

    monkeypatch.setattr(module, "_new_file", make)
    yield made
    Disk.busy.set()


def test_a_full_disk_ends_the_recording_and_not_the_sound(
    record: Make, disks: dict[str, Disk], monkeypatch: pytest.MonkeyPatch, noise: Make, play: Make
) -> None:
    monkeypatch.setattr(Disk, "room", 1000)
    processor, recorder = record()
    audio = noise(4800)
    first = play(processor, audio, [96])
    deadline = time.monotonic() + 20
    while not recorder.state.error and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorder.state.error == "No space left on device"
    assert np.abs(first).max() > 0.01
    assert np.abs(play(processor, audio, [96])).max() > 0.01
    assert recorder.state.lost == 0  # nothing is recorded, so nothing is lost
    recorder.close()
    assert all(disk.closed for disk in disks.values())


def test_a_slow_disk_loses_frames_and_keeps_the_time(
    record: Make, disks: dict[str, Disk], monkeypatch: pytest.MonkeyPatch, noise: Make, play: Make
) -> None:
    monkeypatch.setattr(module, "_TAPE_S", 0.02)  # 960 frames
    processor, recorder = record()
    Disk.busy.clear()
    audio = noise(4800)
    play(processor, audio, [96])
    assert 0 < recorder.state.lost < 4800
    Disk.busy.set()
    deadline = time.monotonic() + 20
    while recorder.state.frames < 960 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.01)
    more = noise(960, seed=1)
    play(processor, more, [96])
    recorder.close()
    given = np.concatenate(disks["input"].taken)
    lost = recorder.state.lost
    assert len(given) == 5760
    silent = given[5760 - 960 - lost : 5760 - 960]
    assert lost > 0
    assert not silent.any()
    delay = processor.latency_samples
    assert np.array_equal(given[-960 + delay :], more[:-delay])
    assert not recorder.state.error


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "takes"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True)
    except OSError:
        pytest.skip("no mount here")
    if mounted.returncode:
        pytest.skip("may not mount here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path, record: Make, noise: Make, play: Make) -> None:
    processor, recorder = record()
    audio = noise(48_000)
    play(processor, audio, [96])
    deadline = time.monotonic() + 20
    while not recorder.state.error and time.monotonic() < deadline:
        time.sleep(0.01)
    recorder.close()
    assert recorder.state.error == "No space left on device"
    delay = processor.latency_samples
    given = read(recorder, "input")
    assert 1000 < len(given) < 48_000
    assert np.array_equal(given[delay:], audio[: len(given) - delay])
    assert read(recorder, "residual").ndim == 2
