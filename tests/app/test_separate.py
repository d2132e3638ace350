"""`soloist separate`: what comes out is as long, as fast and as wide as what went in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soloist.app.separate import targets_beside

Run = Callable[..., Any]
Make = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("in.wav", "PCM_16", 48000, 1),
        ("in.wav", "FLOAT", 48000, 2),
        ("in.flac", "PCM_24", 44100, 2),
        ("in.aiff", "PCM_16", 22050, 1),
        ("in.wav", "PCM_24", 96000, 3),
        ("in.ogg", "VORBIS", 44100, 1),
        ("in.wav", "PCM_16", 8000, 6),
    ],
)
def test_length_rate_channels_and_subtype_stay(
    soloist: Run, toy: str, recording: Make, name: str, subtype: str, rate: int, channels: int
) -> None:
    source = recording(name, rate=rate, channels=channels, subtype=subtype)
    target = source.with_name(f"out{source.suffix}")
    result = soloist("separate", source, target, "-m", toy, "-q", "dog")
    assert result.code == 0 and result.out == ""
    before, after = soundfile.info(source), soundfile.info(target)
    assert (after.frames, after.samplerate, after.channels) == (
        before.frames,
        before.samplerate,
        before.channels,
    )
    assert after.subtype == subtype
    assert sorted(p.name for p in source.parent.iterdir()) == sorted([name, target.name])


@pytest.mark.parametrize(
    ("output", "subtype"), [("out.wav", "FLOAT"), ("out.flac", "PCM_16"), ("out.ogg", "VORBIS")]
)
def test_another_container_takes_what_it_can_hold(
    soloist: Run, toy: str, recording: Make, output: str, subtype: str
) -> None:
    source = recording(subtype="FLOAT")
    target = source.with_name(output)
    assert soloist("separate", source, target, "-m", toy).code == 0
    assert soundfile.info(target).subtype == subtype


@pytest.mark.parametrize("rate", [48000, 44100])
def test_block_size_changes_no_bit(soloist: Run, toy: str, recording: Make, rate: int) -> None:
    source = recording(rate=rate, channels=2, subtype="FLOAT")
    outputs = []
    for block in (None, 1, 100, 128, 5000, 48000):
        target = source.with_name(f"out-{block}.wav")
        option = [] if block is None else ["--block-size", block]
        assert soloist("separate", source, target, "-m", toy, "-q", "rain", *option).code == 0
        outputs.append(soundfile.read(target, dtype="float32")[0])
    for output in outputs[1:]:
        np.testing.assert_array_equal(output, outputs[0])


def test_keep_and_remove_sum_to_the_input(soloist: Run, toy: str, recording: Make) -> None:
    source = recording(subtype="FLOAT")
    parts = []
    for side in ("--keep", "--remove"):
        target = source.with_name(f"out{side}.wav")
        assert soloist("separate", source, target, "-m", toy, "-q", "dog", side).code == 0
        parts.append(soundfile.read(target)[0])
    given = soundfile.read(source)[0]
    assert np.abs(parts[0]).max() > 0.01
    np.testing.assert_allclose(parts[0] + parts[1], given, atol=2e-6)


def test_several_queries_give_a_file_each_and_the_rest(
    soloist: Run, toy: str, recording: Make
) -> None:
    source = recording(channels=2, subtype="FLOAT")
    line = ["separate", source, source.with_name("out.wav"), "-m", toy]
    assert soloist(*line, "-q", "Barking dog!", "-q", "rain").code == 0
    names = ["out-barking-dog.wav", "out-rain.wav", "out-residual.wav"]
    assert sorted(p.name for p in source.parent.glob("out*")) == names
    parts = [soundfile.read(source.with_name(name))[0] for name in names]
    np.testing.assert_allclose(sum(parts), soundfile.read(source)[0], atol=2e-6)


def test_several_queries_removed_give_one_file(soloist: Run, toy: str, recording: Make) -> None:
    source = recording(subtype="FLOAT")
    line = [source, source.with_name("out.wav"), "-m", toy, "-q", "dog", "-q", "rain"]
    assert soloist("separate", *line).code == 0
    assert soloist("separate", *line, "--remove").code == 0
    rest = soundfile.read(source.with_name("out.wav"))[0]
    residual = soundfile.read(source.with_name("out-residual.wav"))[0]
    np.testing.assert_allclose(rest, residual, atol=2e-6)


def test_what_is_not_wanted_is_residual(soloist: Run, toy: str, recording: Make) -> None:
    source = recording(subtype="FLOAT")
    line = ["separate", source, source.with_name("out.wav"), "-m", toy]
    assert soloist(*line, "-q", "dog", "-q", "rain", "-q", "piano").code == 0
    truth = {p.name: soundfile.read(p)[0] for p in source.parent.glob("out*")}
    assert soloist(*line, "-q", "dog", "-q", "rain", "--not", "piano").code == 0
    for name in ("out-dog.wav", "out-rain.wav"):
        np.testing.assert_allclose(soundfile.read(source.with_name(name))[0], truth[name])
    rest = soundfile.read(source.with_name("out-residual.wav"))[0]
    np.testing.assert_allclose(rest, truth["out-residual.wav"] + truth["out-piano.wav"], atol=2e-6)
    # Words of the command line are not needed to say what is not wanted.
    assert soloist(*line, "--not", "rain").code == 0
    assert "both asked for and not wanted" in soloist(*line, "-q", "dog", "--not", "Dog").refusal


def test_baked_queries_are_the_default(
    soloist: Run, toy_bundle: Callable[..., Any], recording: Make
) -> None:
    source = recording()
    model = toy_bundle(queries=2).path
    assert soloist("separate", source, source.with_name("out.wav"), "-m", model).code == 0
    names = {p.name for p in source.parent.glob("out*")}
    assert names == {"out-dog.wav", "out-rain.wav", "out-residual.wav"}


def test_the_input_itself_can_be_replaced(soloist: Run, toy: str, recording: Make) -> None:
    source = recording()
    before = soundfile.read(source)[0]
    assert soloist("separate", source, source, "-m", toy).code == 0
    after = soundfile.read(source)[0]
    assert len(after) == len(before) and not np.array_equal(after, before)


@pytest.mark.parametrize("length", [244, 255])
def test_a_long_name_is_no_obstacle(soloist: Run, toy: str, recording: Make, length: int) -> None:
    source = recording()
    target = source.with_name("x" * (length - 4) + ".wav")
    assert soloist("separate", source, target, "-m", toy).code == 0
    assert sorted(p.name for p in source.parent.iterdir()) == sorted([source.name, target.name])


def test_long_words_give_short_names_that_differ() -> None:
    words = ["a very long sound " * 40 + end for end in ("one", "two")] + ["\U00020000" * 99]
    names = [path.name for path in targets_beside(Path("out.wav"), words)]
    assert len(set(names)) == 4
    assert max(len(name.encode()) for name in names) <= 255
    assert names[0].startswith("out-a-very-long-sound-a-")
    assert names[1] == names[0].replace(".wav", "-2.wav")


def test_names_beside_never_collide() -> None:
    words = ["a dog", "A DOG!", "residual", "???", "Hündin"]
    names = [path.name for path in targets_beside(Path("x.wav"), words)]
    assert names == [
        "x-a-dog.wav",
        "x-a-dog-2.wav",
        "x-residual-2.wav",
        "x-query.wav",
        "x-hündin.wav",
        "x-residual.wav",
    ]


def test_levels_rebalance(soloist: Run, toy: str, recording: Make) -> None:
    """The mix is made of what keeping and removing give, each by its level."""
    source = recording(channels=2, subtype="FLOAT")
    kept, removed, mixed = (source.with_name(f"{name}.wav") for name in ("k", "r", "m"))
    ask = ["-m", toy, "-q", "rain"]
    assert soloist("separate", source, kept, *ask).code == 0
    assert soloist("separate", source, removed, *ask, "--remove").code == 0
    assert soloist("separate", source, mixed, *ask, "--gain", "+6 dB", "--rest", "-inf").code == 0
    read = {path: soundfile.read(path, dtype="float64")[0] for path in (kept, removed, mixed)}
    np.testing.assert_allclose(read[mixed], 10**0.3 * read[kept], atol=1e-6)
    assert soloist("separate", source, mixed, *ask, "--rest", "-20").code == 0
    mix = soundfile.read(mixed, dtype="float64")[0]
    np.testing.assert_allclose(mix, read[kept] + 0.1 * read[removed], atol=1e-6)


def test_several_words_and_levels_make_one_file(soloist: Run, toy: str, recording: Make) -> None:
    source = recording(subtype="FLOAT")
    target = source.with_name("out.wav")
    words = ["-q", "rain", "-q", "dog"]
    assert soloist("separate", source, target, "-m", toy, *words, "--rest", "-20").code == 0
    assert target.exists()
    assert sorted(source.parent.glob("out*")) == [target]


def test_stereo_keeps_its_image_unless_told_otherwise(
    soloist: Run, toy: str, tmp_path: Path
) -> None:
    """One sound, panned: linked channels stay in proportion, independent ones do not."""
    rng = np.random.default_rng(0)
    sound = 0.2 * rng.standard_normal((24_000, 1)) * np.array([[1.0, 0.25]])
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, sound, 48_000, subtype="FLOAT")
    for option, same in (("--linked", True), ("--independent", False)):
        assert soloist("separate", source, target, "-m", toy, "-q", "rain", option).code == 0
        left, right = soundfile.read(target)[0].T
        assert np.allclose(right, 0.25 * left, atol=1e-6) == same


@pytest.mark.parametrize("level", ["loud", "40", "nan"])
def test_refuses_what_is_no_level(soloist: Run, toy: str, recording: Make, level: str) -> None:
    source = recording()
    run = soloist("separate", source, source.with_name("o.wav"), "-m", toy, "--gain", level)
    assert run.code == 2
    assert "expected" in run.err
    assert not source.with_name("o.wav").exists()


def test_what_clips_is_told(soloist: Run, toy: str, recording: Make) -> None:
    source = recording()
    target = source.with_name("loud.wav")
    loud = soloist("separate", source, target, "-m", toy, "--gain", "12", "--rest", "12")
    assert loud.code == 0
    clipped = int(np.count_nonzero(np.abs(4 * soundfile.read(source)[0]) > 1.0))
    told = int(loud.err.partition("soloist: ")[2].split()[0])
    assert 0 < told == pytest.approx(clipped, rel=0.02)
    assert f"samples of {target} were beyond full scale and are clipped" in loud.err
    quiet = soloist("separate", source, target, "-m", toy)
    assert "clipped" not in quiet.err


def test_a_recording_that_is_cut_short_is_told(soloist: Run, toy: str, recording: Make) -> None:
    source = recording()
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    target = source.with_name("kept.wav")
    result = soloist("separate", source, target, "-m", toy)
    assert result.code == 0
    assert "the recording is cut short, its header promises more" in result.err
    assert soundfile.info(target).frames == soundfile.info(source).frames


def test_a_block_longer_than_the_recording_costs_nothing(
    soloist: Run, toy: str, recording: Make
) -> None:
    """As much memory as there is would not hold it."""
    source = recording()
    results = []
    for size in ("128", "1000000000000"):
        target = source.with_name(f"{size}.wav")
        assert soloist("separate", source, target, "-m", toy, "-b", size).code == 0
        results.append(target.read_bytes())
    assert results[0] == results[1]
