"""WAV files are whole at every moment, as libsndfile reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.streaming.live.wav import WavWriter


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_it_is_whole_after_each_write(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "it.wav"
    audio = np.random.default_rng(0).uniform(-3, 3, (1000, channels)).astype(np.float32)
    writer, done = WavWriter(path, 44_100, channels), 0
    for frames in (0, 1, 99, 400, 500):
        writer.write(audio[done : done + frames])
        done += frames
        assert np.array_equal(
            soundfile.read(path, dtype="float32", always_2d=True)[0], audio[:done]
        )
    writer.close()
    known = soundfile.info(path)
    assert (known.samplerate, known.channels, known.subtype) == (44_100, channels, "FLOAT")
    assert path.stat().st_size == 58 + audio.nbytes


def test_nothing_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "it.wav"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        WavWriter(path, 48_000, 1)
    assert path.read_text() == "mine"


@contextmanager
def small_files() -> Iterator[None]:
    """The system takes 1000 bytes a file, as a disk that is almost full would.

    For as short as can be: the suite's own output may be a file, too.
    """
    resource = pytest.importorskip("resource", reason="POSIX only")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1001, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "it.wav"
    audio = np.arange(2000, dtype=np.float32).reshape(-1, 2)
    writer = WavWriter(path, 48_000, 2)
    with small_files(), pytest.raises(OSError):
        writer.write(audio)
    writer.close()
    found = soundfile.read(path, dtype="float32")[0]
    assert np.array_equal(found, audio[: (1001 - 58) // 8])
