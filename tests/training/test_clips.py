"""What a manifest may be, and what is said of one that cannot be used."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.training.clips import ManifestError, classes_of_files, load_clips

HEADER = "path,class,caption,split\n"


def test_recordings_come_as_they_are_or_resampled(tmp_path: Path) -> None:
    ramp = np.arange(-400, 400, dtype=np.int16) * 40
    soundfile.write(tmp_path / "ramp.wav", ramp, 48_000, "PCM_16")
    manifest = tmp_path / "manifest.csv"
    row = "ramp.wav,ramp,a ramp|it rises,train\n"
    manifest.write_text(f"\ufeff{HEADER}{row}gone.wav,gone,not asked for,dev\n", "utf-8")
    (clip,) = load_clips(manifest, "train", 48_000)
    assert clip.label == "ramp" and clip.phrases[:2] == ("a ramp", "it rises")
    np.testing.assert_array_equal(clip.samples, ramp)
    (slower,) = load_clips(manifest, "train", 24_000)
    assert slower.samples.dtype == np.int16
    middle = slice(100, -100)  # the ends ring
    np.testing.assert_allclose(slower.samples[middle], ramp[::2][middle], atol=100)
    assert classes_of_files(manifest) == {"ramp.wav": "ramp", "gone.wav": "gone"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"id,class\n1,dog\n", r"manifest\.csv is no manifest: no column path, caption, split"),
        (b"", "no column path, class, caption, split"),
        (HEADER.encode() + b"a.wav,dog\n", r"line 2: the row does not have as many fields"),
        (b"\xff\xfe\x00" * 50, r"cannot read the manifest .*not a text file"),
    ],
)
def test_files_that_are_no_manifest(tmp_path: Path, content: bytes, expected: str) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes(content)
    for read in (lambda: load_clips(manifest, "train", 48_000), lambda: classes_of_files(manifest)):
        with pytest.raises(ManifestError, match=expected):
            read()


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"cannot read the manifest .*No such file"):
        load_clips(tmp_path / "manifest.csv", "train", 48_000)


def test_recordings_that_cannot_be_used(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 48_000)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((480, 2)), 48_000)
    (tmp_path / "text.wav").write_text("no sound")
    manifest = tmp_path / "manifest.csv"
    for name, expected in {
        "empty.wav": "not one sample",
        "stereo.wav": "need mono, found 2 channels",
        "text.wav": "no audio file",
        "gone.wav": "no such file",
    }.items():
        manifest.write_text(f"{HEADER}{name},dog,a dog,train\n")
        with pytest.raises(ManifestError, match=rf"{name}.*{expected}"):
            load_clips(manifest, "train", 48_000)
