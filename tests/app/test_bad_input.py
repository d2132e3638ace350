"""Bad input: one clear line, exit code 2, and nothing written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

Run = Callable[..., Any]
Monkey = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(soloist: Run, *line: object) -> str:
    """Run a command that must refuse; nothing may have come or gone in the folder."""
    before = sorted(os.listdir())
    message: str = soloist(*line).refusal
    assert sorted(os.listdir()) == before
    return message


def test_missing_file(soloist: Run, toy: str) -> None:
    message = refused(soloist, "separate", "nowhere.wav", "out.wav", "-m", toy)
    assert "'nowhere.wav'" in message and "no such file" in message


def test_a_folder_instead_of_a_file(soloist: Run, toy: str) -> None:
    Path("folder.wav").mkdir()
    assert "not a file" in refused(soloist, "separate", "folder.wav", "out.wav", "-m", toy)


def test_not_audio(soloist: Run, toy: str) -> None:
    Path("notes.wav").write_text("these are words")
    assert "'notes.wav'" in refused(soloist, "separate", "notes.wav", "out.wav", "-m", toy)


def test_zero_length(soloist: Run, toy: str) -> None:
    soundfile.write("empty.wav", np.zeros((0, 1)), 48000)
    assert "no samples" in refused(soloist, "separate", "empty.wav", "out.wav", "-m", toy)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers(soloist: Run, toy: str, value: float) -> None:
    samples = np.zeros((100, 2))
    samples[42, 1] = value
    soundfile.write("bad.wav", samples, 48000, subtype="FLOAT")
    assert "frame 42" in refused(soloist, "separate", "bad.wav", "out.wav", "-m", toy)


def test_a_model_that_is_no_bundle(soloist: Run, recording: Callable[..., Path]) -> None:
    source = recording()
    Path("text.onnx").write_text("not a model")
    assert "text.onnx" in refused(soloist, "separate", source, "out.wav", "-m", "text.onnx")
    assert "nomodel" in refused(soloist, "separate", source, "out.wav", "-m", "nomodel")
    for command in ("info", "queries", "live", "demo"):
        assert "text.onnx" in refused(soloist, command, "-m", "text.onnx")


def test_an_onnx_model_that_is_no_bundle(soloist: Run, toy: str) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(toy)
    del model.metadata_props[:]
    onnx.save(model, "bare.onnx")
    assert "no Soloist bundle" in refused(soloist, "info", "bare.onnx")


def test_unknown_words_without_an_encoder(
    soloist: Run, toy: str, recording: Callable[..., Path]
) -> None:
    message = refused(soloist, "separate", recording(), "out.wav", "-m", toy, "-q", "dogg")
    assert "'dogg'" in message and "dog" in message


@pytest.mark.parametrize("words", [[" "], ["\U0001f415"], ["?", "!"], ["dog", "\U0001f3b8"]])
def test_words_without_a_letter(
    soloist: Run, toy: str, recording: Callable[..., Path], words: list[str]
) -> None:
    asked = [part for each in words for part in ("-q", each)]
    line = ("separate", recording(), "out.wav", "-m", toy, *asked)
    assert "are not all words; name a sound for each" in refused(soloist, *line)
    assert "are not all words" in refused(soloist, "queries", "-m", toy, *words)


def test_two_models(soloist: Run, toy: str) -> None:
    assert "found two models, 'solo' and" in refused(soloist, "info", "solo", "-m", toy)
    assert soloist("info", toy, "-m", toy).code == 0


def test_options_of_the_other_way_to_separate(
    soloist: Run, toy: str, recording: Callable[..., Path]
) -> None:
    line = ("separate", recording(), "out.wav", "-m", toy, "--prompts", "plain")
    assert "--prompts and --encoder-weights are for --offline" in refused(soloist, *line)


def test_a_full_disk_under_the_answer(
    soloist: Run, toy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sys.stdout.write", full)
    message = soloist("info", toy).refusal
    assert message == "cannot write the answer: no space left where it goes"


def test_unknown_compute_device(soloist: Run, toy: str, recording: Callable[..., Path]) -> None:
    source = recording()
    message = refused(soloist, "separate", source, "out.wav", "-m", toy, "--device", "abacus")
    assert "abacus" in message


def test_unknown_audio_device(soloist: Run, toy: str) -> None:
    # With sound devices or without: there is none of this name, or none at all.
    message = refused(soloist, "live", "-m", toy, "--input-device", "a device of this name")
    assert "device" in message


@pytest.mark.parametrize("output", ["nowhere/out.wav", "out.xyz", "out", "folder.wav"])
def test_unwritable_output(
    soloist: Run, toy: str, recording: Callable[..., Path], output: str
) -> None:
    source = recording()
    Path("folder.wav").mkdir()
    assert f"'{output}'" in refused(soloist, "separate", source, output, "-m", toy)


def test_a_folder_that_may_not_be_written_to(
    soloist: Run, toy: str, recording: Callable[..., Path]
) -> None:
    source = recording()
    locked = Path("locked")
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):  # root may write everywhere but into the kernel's own files
        locked = Path("/proc")
    output = locked / "out.wav"
    assert f"'{output}'" in refused(soloist, "separate", source, output, "-m", toy)


def test_a_container_that_cannot_hold_the_recording(
    soloist: Run, toy: str, recording: Callable[..., Path]
) -> None:
    source = recording(channels=20)  # FLAC ends at 8
    assert "'out.flac'" in refused(soloist, "separate", source, "out.flac", "-m", toy)
    # Several files are refused before the first is written.
    refused(soloist, "separate", source, "out.flac", "-m", toy, "-q", "dog", "-q", "rain")


LONG = "x" * 5000


@pytest.mark.parametrize(
    "line",
    [
        ["separate", f"{LONG}.wav", "out.wav"],
        ["separate", "in.wav", f"{LONG}.wav"],
        ["separate", "in.wav", f"{'x' * 252}.wav"],  # one byte too many
        ["separate", "in.wav", f"{LONG}/out.wav"],
        ["separate", "in.wav", f"{'x' * 244}.wav", "-q", "dog", "-q", "rain"],  # no room for words
        ["demo", "-o", LONG],
        ["evaluate", "--mixtures", f"{LONG}.csv", "--audio-root", "."],
        ["evaluate", "--mixtures", "list.csv", "--audio-root", ".", "--json", LONG],
    ],
    ids=lambda line: " ".join(word[:8] for word in line),
)
def test_names_that_are_too_long(
    soloist: Run, toy: str, recording: Callable[..., Path], line: list[str]
) -> None:
    recording("in.wav")
    message = refused(soloist, *line, "-m", toy)
    assert "File name too long" in message and "xxx" in message


def test_a_model_whose_name_is_too_long(soloist: Run) -> None:
    for command in ("info", "queries", "demo", "live"):
        assert "File name too long" in refused(soloist, command, "-m", LONG)


def test_a_checkpoint_whose_name_is_too_long(soloist: Run) -> None:
    pytest.importorskip("torch")
    assert "File name too long" in refused(
        soloist, "export", "solo", LONG, "-o", "out.onnx", "-q", "dog"
    )


@pytest.mark.parametrize("given", ["y", "sub.dir/y", ".y", "in.y"])
def test_a_suffix_is_quoted_as_it_was_typed(
    soloist: Run, toy: str, recording: Callable[..., Path], given: str
) -> None:
    source = recording()
    Path("sub.dir").mkdir()
    suffix = Path(given).suffix
    message = refused(soloist, "separate", source, given, "-m", toy)
    assert message.startswith(f"cannot write '{given}': the suffix '{suffix}' names no known")


@pytest.mark.parametrize(
    "line",
    [
        ["separate", "in.wav", "out.wav", "-q"],
        ["live", "-q", "dog", "-q"],
        ["queries"],
        ["export", "solo", "a.pt", "-o", "out.onnx", "-q"],
    ],
)
def test_words_that_are_no_text(soloist: Run, line: list[str]) -> None:
    # What the interpreter makes of bytes on the command line that are no UTF-8.
    assert "'d\\udcf6g' is no UTF-8 text" in refused(soloist, *line, "d\udcf6g")


def test_demo_on_a_full_disk(soloist: Run, demo_for_toy: str, monkeypatch: Monkey) -> None:
    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", fill)
    message = soloist("demo", "-m", demo_for_toy).refusal
    assert "picture.png': No space left on device" in message
    assert "picture.png" not in os.listdir("soloist-demo")
    assert not list(Path("soloist-demo").glob(".*"))


def test_a_disk_that_fills_up_under_the_last_part(
    soloist: Run, toy: str, recording: Callable[..., Path], monkeypatch: Monkey
) -> None:
    """Several files come together or not at all."""
    source = recording()
    written = []
    write = soundfile.SoundFile.write

    def fill(self: Any, data: Any) -> None:
        written.append(len(data))
        if len(data) > 1024 and len([n for n in written if n > 1024]) == 3:
            raise AssertionError
        write(self, data)

    monkeypatch.setattr(soundfile.SoundFile, "write", fill)
    words = ["-q", "dog", "-q", "rain"]
    message = refused(soloist, "separate", source, "out.wav", "-m", toy, *words)
    assert "'out-residual.wav'" in message and "not all was written" in message
    assert "check the disk's free space" in message


def test_demo_where_no_folder_can_be(soloist: Run, toy: str) -> None:
    Path("taken").write_text("a file")
    assert "'taken'" in refused(soloist, "demo", "-m", toy, "-o", "taken")


def test_export_without_a_checkpoint(soloist: Run) -> None:
    pytest.importorskip("torch")
    line = ["-o", "out.onnx", "-q", "dog"]
    assert "nowhere.pt" in refused(soloist, "export", "solo", "nowhere.pt", *line)
    Path("words.pt").write_text("no checkpoint")
    assert "words.pt" in refused(soloist, "export", "solo", "words.pt", *line)
    assert "words.pt" in refused(soloist, "export", "clipsep", "words.pt", *line)
    twice = ["--query-embedding", "a.npy", "--query-embedding", "a=b.npy"]
    assert "'a'" in refused(soloist, "export", "clipsep", "words.pt", *line, *twice)
    assert "no system 'demucs'" in refused(soloist, "export", "demucs", "words.pt", *line)
