"""Rendered recordings: tunes within their instruments, sounds at the pitch that a tune says."""

import csv
import shutil
from pathlib import Path

import mido
import numpy as np
import pytest

from soloist.training.clips import load_clips
from soloist.training.rendering import DRUMS, PROGRAMS, SOUNDFONT, main, melody, play, rhythm

playable = pytest.mark.skipif(
    not (shutil.which("fluidsynth") and shutil.which("espeak-ng") and SOUNDFONT.is_file()),
    reason="needs fluidsynth, its General MIDI soundfont and espeak-ng",
)
LIKE = "path,class,caption,split,category\n" + "".join(
    f"{label}.ogg,{label},{caption},train,{category}\n"
    for label, caption, category in (
        ("flute", "a flute|flute melody", "instrument"),
        ("tom_drum", "a tom drum", "percussion"),
        ("male_speech", "a man talking", "speech"),
        ("female_speech", "a woman talking", "speech"),
        ("rain", "rain falling", "nature"),
    )
)


def notes(tune: mido.MidiFile) -> list[mido.Message]:
    return [message for track in tune.tracks for message in track if message.type == "note_on"]


@pytest.mark.parametrize("label", list(PROGRAMS))
def test_a_melody_is_of_its_instrument_and_lasts(label: str) -> None:
    tune = melody(label, np.random.default_rng(1))
    change = next(m for track in tune.tracks for m in track if m.type == "program_change")
    assert change.program in PROGRAMS[label]
    assert 4.0 <= tune.length <= 20.0
    assert {message.channel for message in notes(tune)} == {0}
    again = melody(label, np.random.default_rng(1))
    assert [m.note for m in notes(tune)] == [m.note for m in notes(again)]


@pytest.mark.parametrize("label", list(DRUMS))
def test_a_rhythm_is_of_its_drums(label: str) -> None:
    struck = notes(rhythm(label, np.random.default_rng(1)))
    assert struck
    assert {message.note for message in struck} <= set(DRUMS[label])
    assert {message.channel for message in struck} == {9}


@playable
def test_a_note_sounds_at_its_pitch(tmp_path: Path) -> None:
    track = mido.MidiTrack(
        [
            mido.Message("program_change", program=73),
            mido.Message("note_on", note=69, velocity=100),
            mido.Message("note_off", note=69, time=4 * 480),
        ]
    )
    sound = play(mido.MidiFile(tracks=[track]), SOUNDFONT, tmp_path)
    middle = sound[24_000:72_000]
    strongest = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax()
    assert strongest == pytest.approx(440, abs=3)  # bins of 1 Hz


@playable
def test_a_folder_is_a_data_set_of_known_classes(tmp_path: Path) -> None:
    (tmp_path / "like.csv").write_text(LIKE)
    folder = tmp_path / "rendered"
    arguments = [str(folder), "--like", str(tmp_path / "like.csv"), "--clips", "8"]
    assert main([*arguments, "--voices", "0.5"]) == 0
    clips = load_clips(folder / "manifest.csv", "train", 48_000)
    assert {clip.label for clip in clips} <= {"flute", "tom_drum", "male_speech", "female_speech"}
    assert {"a flute", "flute melody"} <= {
        p for c in clips for p in c.phrases if c.label == "flute"
    }
    for clip in clips:
        assert 0.5 * 32768 < np.abs(clip.samples.astype(int)).max() < 32767
        assert clip.category in ("instrument", "percussion", "speech")
    with (folder / "manifest.csv").open() as file:
        assert {row["kind"] for row in csv.DictReader(file)} == {"rendered"}


def test_what_is_missing_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [str(tmp_path / "new"), "--like", str(tmp_path / "none.csv")]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(arguments) == 2
    assert "fluidsynth and espeak-ng not found" in capsys.readouterr().err
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert main([*arguments, "--soundfont", __file__]) == 2
    assert "no manifest at" in capsys.readouterr().err
    (tmp_path / "none.csv").write_text(LIKE)
    assert main([str(tmp_path), *arguments[1:], "--soundfont", __file__]) == 2
    assert "is there already" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
