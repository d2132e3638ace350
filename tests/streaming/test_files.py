import io
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from soloist.runtime.errors import AudioFileError
from soloist.streaming.files import read_audio, write_audio, write_together

Audio = NDArray[np.float32]
Noise = Callable[..., Audio]

# Formats that know one rate only, and so cannot hold this test's 48 kHz.
FIXED_RATE = {"htk", "wve", "xi"}
FORMATS = sorted({name.lower() for name in soundfile.available_formats()} - {"raw", "sd2", "sds"})
LOSSY = {"mp3", "ogg", "oga", "opus"}


@pytest.mark.parametrize("suffix", [*FORMATS, "aif", "aifc", "oga", "opus", "snd", "FLAC"])
def test_every_format_comes_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"sound.{suffix}"
    samples = (0.5 * np.sin(2 * np.pi * np.arange(4801) / 100)).astype(np.float32)[:, None]
    if suffix in FIXED_RATE:
        with pytest.raises(AudioFileError, match="cannot write"):
            write_audio(path, samples, 48_000)
        assert not list(tmp_path.iterdir())
        return
    write_audio(path, samples, 48_000)
    assert list(tmp_path.iterdir()) == [path]
    found = read_audio(path)
    assert found.samples.dtype == np.float32
    assert (found.samples.shape, found.sample_rate) == ((4801, 1), 48_000)
    worst = 0.1 if suffix in LOSSY else 1 / 32_000
    assert np.abs(found.samples - samples).max() < worst


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "w64", "caf"])
def test_rates_and_channels(
    tmp_path: Path, noise: Noise, suffix: str, channels: int, rate: int
) -> None:
    write_audio(tmp_path / f"a.{suffix}", noise(100, channels), rate)
    found = read_audio(tmp_path / f"a.{suffix}")
    assert (found.samples.shape, found.sample_rate) == ((100, channels), rate)


@pytest.mark.parametrize(
    ("suffix", "wanted", "found"),
    [
        ("wav", "FLOAT", "FLOAT"),
        ("wav", "PCM_24", "PCM_24"),
        ("flac", "PCM_24", "PCM_24"),
        ("flac", "FLOAT", "PCM_16"),  # not in this format
        ("wav", "IMA_ADPCM", "PCM_16"),  # would change the length
        ("wav", "MPEG_LAYER_III", "PCM_16"),  # libsndfile says yes and then no
        ("mp3", "PCM_16", "MPEG_LAYER_III"),
        ("ogg", "PCM_16", "VORBIS"),
        ("opus", "VORBIS", "OPUS"),
        ("wav", None, "PCM_16"),
    ],
)
def test_a_subtype_is_kept_where_it_can(
    tmp_path: Path, noise: Noise, suffix: str, wanted: str | None, found: str
) -> None:
    write_audio(tmp_path / f"a.{suffix}", noise(500), 48_000, subtype=wanted)
    assert read_audio(tmp_path / f"a.{suffix}").subtype == found


@pytest.mark.parametrize("frames", [1, 2, 17])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_shortest(tmp_path: Path, noise: Noise, suffix: str, frames: int) -> None:
    write_audio(tmp_path / f"a.{suffix}", noise(frames), 44_100)
    assert len(read_audio(tmp_path / f"a.{suffix}").samples) == frames


def test_long_vorbis(tmp_path: Path) -> None:
    """In one piece it would overrun libsndfile's stack."""
    write_audio(tmp_path / "long.ogg", np.zeros((3_000_000, 2), np.float32), 48_000)
    assert soundfile.info(tmp_path / "long.ogg").frames == 3_000_000


def test_integers_clip_instead_of_wrapping(tmp_path: Path) -> None:
    """And how many did is told."""
    loud = np.array([[1.5], [-1.5], [1.0], [-1.0], [0.5]], np.float32)
    assert write_audio(tmp_path / "a.wav", loud, 48_000) == 2
    found = read_audio(tmp_path / "a.wav").samples[:, 0]
    assert np.abs(found - [1, -1, 1, -1, 0.5]).max() < 1e-4
    assert write_audio(tmp_path / "b.wav", loud, 48_000, subtype="FLOAT") == 0
    np.testing.assert_array_equal(read_audio(tmp_path / "b.wav").samples, loud)


def one_line(error: pytest.ExceptionInfo[AudioFileError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is no audio, whatever its name")
    soundfile.write(tmp_path / "nothing.wav", np.zeros((0, 1)), 48_000)
    spoilt = np.zeros((10, 2), np.float32)
    spoilt[3:5, 1] = np.nan
    soundfile.write(tmp_path / "nan.wav", spoilt, 48_000, subtype="FLOAT")
    for name, expected in (
        ("missing.wav", "no such file"),
        ("", "not a file"),
        ("empty.wav", "it is empty; take another copy"),
        ("text.wav", "Format not recognised"),
        ("nothing.wav", "holds no samples"),
        ("nan.wav", "2 of 10 frames are NaN or infinite, the first one is frame 3"),
    ):
        with pytest.raises(AudioFileError) as error:
            read_audio(tmp_path / name)
        assert expected in one_line(error)
        assert str(tmp_path / name) in str(error.value)


def wav(frames: int = 8, channels: int = 1, rate: int = 48_000, said: int | None = None) -> bytes:
    """A WAV file by hand, whose header says what the arguments say."""
    size = 2 * frames * channels
    said = size if said is None else said
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * rate * channels & 0xFFFFFFFF, 2, 16)
    head = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", said)
    return b"RIFF" + struct.pack("<I", (said + 36) & 0xFFFFFFFF) + head + bytes(size)


def au(frames: int, said: int, rate: int = 48_000) -> bytes:
    """The same as AU, where libsndfile believes the header."""
    return b".snd" + struct.pack(">IIIII", 24, said, 3, rate, 1) + bytes(2 * frames)


def flac_of(frames: int) -> bytes:
    """A FLAC file of 100 frames whose header says `frames`: 36 bits of STREAMINFO."""
    content = io.BytesIO()
    soundfile.write(content, np.zeros((100, 1)), 48_000, format="FLAC")
    made = bytearray(content.getvalue())
    field = int.from_bytes(made[18:26], "big") >> 36 << 36 | frames
    made[18:26] = field.to_bytes(8, "big")
    return bytes(made)


def test_headers_that_lie_or_overdo_it(tmp_path: Path) -> None:
    for content, expected in (
        (wav(channels=65), "65 channels at 48000 Hz; at most 64 channels"),
        (wav(channels=1024), "1024 channels"),
        (wav(rate=999), "at 999 Hz; .* 1000 to 768000 Hz"),
        (wav(rate=2**31 - 1), "at 2147483647 Hz"),
        (flac_of(2**30 + 1), "it says that it has 1073741825 frames"),
        (flac_of(2**36 - 1), "it says that it has 68719476735 frames"),
        (flac_of(50_000_000), "damaged or cut short after 0 of 50000000 frames"),
        (wav()[:40], "cannot"),
        (wav(frames=0), "holds no samples"),
        (wav(frames=0, said=2**32 - 1), "holds no samples"),
        (b"RIFF", "cannot read"),
        (bytes(1000), "Format not recognised"),
    ):
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(AudioFileError, match=expected) as error:
            read_audio(tmp_path / "a.wav")
        one_line(error)


@pytest.mark.parametrize(
    ("content", "frames", "whole"),
    [
        (wav(said=2**32 - 1), 8, True),  # what programs write that stream
        (wav(said=2**31), 8, True),
        (au(8, 2**32 - 1), 8, True),
        (au(8, 2**30), 8, False),
        (wav(frames=1000)[:1044], 500, False),
        (wav(frames=1000), 1000, True),
    ],
)
def test_what_is_there_is_read_whatever_the_header_says(
    tmp_path: Path, content: bytes, frames: int, whole: bool
) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    found = read_audio(tmp_path / "a.wav")
    assert found.samples.shape == (frames, 1)
    assert found.whole == whole
    assert found.samples.base is None or found.samples.base.nbytes <= 2 * found.samples.nbytes


def test_low_rates_count_for_what_they_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soloist.streaming.files.MAX_SAMPLES", 4800)
    for frames, rate, fits in ((4800, 48_000, True), (4801, 48_000, False), (100, 1000, True)):
        (tmp_path / "a.wav").write_bytes(wav(frames=frames, rate=rate))
        if fits:
            read_audio(tmp_path / "a.wav")
        else:
            with pytest.raises(AudioFileError, match="4800 samples are read"):
                read_audio(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(wav(frames=101, rate=1000))
    with pytest.raises(AudioFileError, match="4800 samples are read"):
        read_audio(tmp_path / "a.wav")


def test_codings_that_cannot_be_sought_in(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((640, 1)), 8_000, "GSM610")
    assert len(read_audio(tmp_path / "a.wav").samples) == 640


def test_raw_samples(tmp_path: Path) -> None:
    (tmp_path / "a.RAW").write_bytes(bytes(1000))
    with pytest.raises(AudioFileError, match=r"a.RAW': raw samples; use \.wav"):
        read_audio(tmp_path / "a.RAW")


def test_writing_says_what_is_wrong_and_leaves_nothing(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "folder.wav").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for name, samples, rate, expected in (
        ("a.xyz", noise(9), 48_000, "'.xyz' names no known format; use .wav"),
        ("a", noise(9), 48_000, "'' names no known format"),
        ("a.sd2", noise(9), 48_000, "'.sd2' names no known format"),
        ("none/a.wav", noise(9), 48_000, "make it first"),
        ("folder.wav", noise(9), 48_000, "exists and is not a file"),
        ("a.mp3", noise(9), 96_000, "MP3 MPEG_LAYER_III, 1 channels, 96000 Hz"),
        ("a.flac", noise(9, 9), 48_000, "9 channels"),
        ("a.wve", noise(9), 48_000, "at 8000 Hz"),
    ):
        with pytest.raises(AudioFileError) as error:
            write_audio(tmp_path / name, samples, rate)
        assert expected in one_line(error)
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_without_permission(tmp_path: Path, noise: Noise) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AudioFileError, match="cannot write"):
        write_audio(tmp_path / "a.wav", noise(9), 48_000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path, noise: Noise) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioFileError, match="exists and is not a file"):
        write_audio(tmp_path / "pipe.wav", noise(9), 48_000)
    with pytest.raises(AudioFileError, match="not a file"):
        read_audio(tmp_path / "pipe.wav")


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link.wav", tmp_path / "there" / "target.wav"
    link.symlink_to(target)
    write_audio(link, noise(9), 48_000)
    assert link.is_symlink()
    assert len(read_audio(target).samples) == 9


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_changes_nothing(
    tmp_path: Path, noise: Noise, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, noise(50), 48_000)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((AudioFileError, KeyboardInterrupt)) as error:
        write_audio(path, noise(99), 48_000)
    if isinstance(failure, OSError):
        assert "No space left on device" in str(error.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_synced_may_be_written_to(
    tmp_path: Path, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to sync a file that is open for reading only."""
    fcntl = pytest.importorskip("fcntl")
    modes = []
    monkeypatch.setattr(os, "fsync", lambda f: modes.append(fcntl.fcntl(f, fcntl.F_GETFL)))
    write_audio(tmp_path / "a.wav", noise(9), 48_000)
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_RDWR]


def test_several_files_come_together_or_not_at_all(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "b.flac").write_text("old")
    good, bad = {tmp_path / "a.wav": noise(9)}, {tmp_path / "b.flac": noise(9, 9)}
    with pytest.raises(AudioFileError, match=r"b\.flac"):
        write_together(good | bad, 48_000)
    assert (tmp_path / "b.flac").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "b.flac"]
    write_together(good | {tmp_path / "b.flac": noise(9)}, 48_000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "b.flac"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_write_leaves_the_old_file(tmp_path: Path, noise: Noise) -> None:
    """Killed in the middle: the destination is whole, beside it lies what has another suffix."""
    path = tmp_path / "a.wav"
    write_audio(path, noise(50), 48_000)
    before = path.read_bytes()
    code = """
        import sys, numpy
        from soloist.streaming.files import write_audio
        write_audio(sys.argv[1], numpy.zeros((60_000_000, 2), numpy.float32), 48_000)
    """
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(path)])
    try:
        while not any(part.stat().st_size > 1_000_000 for part in tmp_path.glob("*.part")):
            assert writer.poll() is None
            time.sleep(0.002)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert path.read_bytes() == before
    assert {left.suffix for left in tmp_path.iterdir()} == {".wav", ".part"}
