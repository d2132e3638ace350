"""Recordings that nobody has to record: a soundfont's instruments, a synthesiser's voices.

Instruments play random melodies, chords and rhythms (fluidsynth with a General MIDI soundfont),
voices say random words (espeak-ng). Both programs must be installed. The folder gets ``audio/`` and
a ``manifest.csv`` of the classes, captions and categories that another manifest has, so that it
can stand beside that one in ``also`` of a run.

    python -m soloist.training.rendering runs/rendered --like data/manifest.csv --clips 400
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from .clips import read_manifest

RATE = 48_000
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
COLUMNS = ("path", "class", "caption", "split", "category", "kind", "original_path")

PROGRAMS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1, 2, 3),
    "electric_piano": (4, 5),
    "harpsichord": (6,),
    "glockenspiel": (9,),
    "music_box": (10,),
    "vibraphone": (11,),
    "marimba": (12,),
    "xylophone": (13,),
    "tubular_bells": (14,),
    "organ": (16, 17, 18, 19, 20),
    "accordion": (21, 23),
    "harmonica": (22,),
    "acoustic_guitar": (24, 25),
    "electric_guitar": (26, 27, 28, 29, 30),
    "bass_guitar": (33, 34, 35, 36, 37),
    "violin": (40,),
    "viola": (41,),
    "cello": (42,),
    "double_bass": (32, 43),
    "strings": (44, 45, 48, 49, 50),
    "harp": (46,),
    "timpani": (47,),
    "trumpet": (56, 59),
    "trombone": (57,),
    "tuba": (58,),
    "french_horn": (60,),
    "saxophone": (64, 65, 66, 67),
    "oboe": (68,),
    "english_horn": (69,),
    "bassoon": (70,),
    "clarinet": (71,),
    "flute": (72, 73),
    "synthesizer": (62, 63, 80, 81, 82, 87, 88, 89, 90, 95),
    "sitar": (104,),
    "banjo": (105,),
    "kalimba": (108,),
    "steel_drum": (114,),
}
"""General MIDI's programs, from 0, of the classes."""

DRUMS: dict[str, tuple[int, ...]] = {
    "kick_drum": (35, 36),
    "snare_drum": (38, 40),
    "hi_hat": (42, 44, 46),
    "tom_drum": (41, 43, 45, 47, 48, 50),
    "cymbal": (49, 51, 52, 55, 57, 59),
    "tambourine": (54,),
    "cowbell": (56,),
    "hand_drum": (60, 61, 62, 63, 64, 65, 66),
    "shaker": (70, 82),
    "woodblock": (76, 77),
    "triangle": (80, 81),
    "drum_kit": (36, 38, 42, 46, 45, 49, 51),
}
"""The same of its percussion channel's keys."""

VOICES = {"male_speech": "m", "female_speech": "f"}
LANGUAGES = ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "de", "fr", "es", "it", "nl", "sv")
_LOWEST = {"bass_guitar": 28, "double_bass": 28, "tuba": 29, "timpani": 38, "cello": 36}
_SECONDS = (5.0, 9.0)
_TICKS = 480  # of a quarter note; with mido's tempo, half a second


def melody(label: str, random: np.random.Generator) -> mido.MidiFile:
    """A random walk over a random scale, with chords and rests, for a class of ``PROGRAMS``."""
    events: list[tuple[int, mido.Message]] = []
    programs = PROGRAMS[label]
    program = int(programs[random.integers(len(programs))])
    scale = np.cumsum(random.permutation([2, 2, 1, 2, 2, 2, 1]))
    root = _LOWEST.get(label, 48) + int(random.integers(0, 19))
    degree, chords = int(random.integers(0, 10)), random.random() < 0.4
    beat = _TICKS * 2 ** random.uniform(-2, 1)
    now, end = 0.0, 2 * _TICKS * random.uniform(*_SECONDS)
    while now < end:
        length = beat * random.choice([0.5, 1, 1, 2, 4])
        if random.random() < 0.9:
            steps = (0, 2, 4) if chords and random.random() < 0.6 else (0,)
            for step in steps:
                octave, within = divmod(degree + step, 7)
                note = min(root + 12 * octave + int(scale[within]) - 2, 108)
                held = int(length * random.uniform(0.5, 1.1))
                events += _note(now, held, note, 0, random)
        degree = int(np.clip(degree + random.integers(-3, 4), 0, 13))
        now += length
    return _file([(0, mido.Message("program_change", program=program)), *events])


def rhythm(label: str, random: np.random.Generator) -> mido.MidiFile:
    """A random pattern, repeated with mistakes, for a class of ``DRUMS``."""
    events: list[tuple[int, mido.Message]] = []
    keys = DRUMS[label]
    some = random.permutation(keys)[: max(1, int(random.integers(1, len(keys) + 1)))]
    if label == "drum_kit":
        some = np.array(keys)
    pattern = random.random((len(some), 16)) < random.uniform(0.1, 0.45)
    pattern[:, 0] |= random.random(len(some)) < 0.7
    pattern[0, 0] = True
    grid = _TICKS * 2 ** random.uniform(-2.5, -0.5)
    for step in range(int(2 * _TICKS * random.uniform(*_SECONDS) / grid)):
        for key, hits in zip(some, pattern, strict=True):
            if hits[step % 16] ^ (random.random() < 0.03):
                events += _note(step * grid, _TICKS // 4, int(key), 9, random)
    kit = int(random.choice([0, 8, 16, 25, 32, 40]))
    return _file([(0, mido.Message("program_change", program=kit, channel=9)), *events])


def _note(
    at: float, held: int, note: int, channel: int, random: np.random.Generator
) -> list[tuple[int, mido.Message]]:
    start, loud = int(at), int(random.integers(45, 120))
    on = mido.Message("note_on", note=note, velocity=loud, channel=channel)
    return [
        (start, on),
        (start + max(1, held), mido.Message("note_off", note=note, channel=channel)),
    ]


def _file(events: Sequence[tuple[int, mido.Message]]) -> mido.MidiFile:
    track, now = mido.MidiTrack(), 0
    for time, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=time - now))
        now = time
    return mido.MidiFile(tracks=[track], ticks_per_beat=_TICKS)


def play(tune: mido.MidiFile, soundfont: Path, scratch: Path) -> NDArray[np.float64]:
    """What a soundfont makes of a tune, both channels together, ``(samples,)`` at 48 kHz."""
    tune.save(scratch / "tune.mid")
    quiet = ["-niq", "-g", "0.6", "-R", "0", "-C", "0"]  # no reverberation, no chorus
    rate, out = ["-r", str(RATE)], ["-F", str(scratch / "tune.wav")]
    _run(["fluidsynth", *quiet, *rate, *out, str(soundfont), str(scratch / "tune.mid")])
    samples, _ = soundfile.read(scratch / "tune.wav", always_2d=True)
    mono: NDArray[np.float64] = samples.mean(axis=1)
    return mono


def say(
    label: str, words: Sequence[str], scratch: Path, random: np.random.Generator
) -> tuple[NDArray[np.float64], int]:
    """A voice of a class of ``VOICES`` saying random words: samples ``(n,)`` and their rate."""
    voice = f"{random.choice(LANGUAGES)}+{VOICES[label]}{random.integers(1, 6)}"
    text = " ".join(random.choice(words, int(random.integers(8, 16))))
    pitch, speed = str(random.integers(25, 75)), str(random.integers(120, 210))
    _run(["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "-w", str(scratch / "v.wav"), text])
    samples, rate = soundfile.read(scratch / "v.wav")
    return samples, rate


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def render(folder: Path, like: Path, clips: int, voices: float, soundfont: Path, seed: int) -> int:
    """Fills a new folder; a share ``voices`` of the clips are voices. Returns how many there are.

    Raises:
        ValueError: a program, the soundfont or the manifest is not there, or the folder is.
    """
    _check(folder, like, soundfont)
    known = [row for row in read_manifest(like) if row["split"] == "train"]
    by_class = {row["class"]: row for row in known}
    phrases: dict[str, set[str]] = {}
    for row in known:
        phrases.setdefault(row["class"], set()).update(row["caption"].split("|"))
    words = sorted(
        {word for some in phrases.values() for phrase in some for word in phrase.split()}
    )
    instruments = [label for label in (*PROGRAMS, *DRUMS) if label in by_class]
    spoken = [label for label in VOICES if label in by_class]
    (folder / "audio").mkdir(parents=True)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        for number in range(clips):
            random = np.random.default_rng((seed, number))
            if random.random() < voices:
                label = spoken[number % len(spoken)]
                samples, rate = say(label, words, scratch, random)
            else:
                label, rate = instruments[number % len(instruments)], RATE
                tune = (melody if label in PROGRAMS else rhythm)(label, random)
                samples = play(tune, soundfont, scratch)
            peak = np.abs(samples).max()
            if not peak:
                continue
            path = f"audio/{label}_{number:04d}.ogg"
            soundfile.write(folder / path, 0.7 * samples / peak, rate)
            rows.append(
                {
                    "path": path,
                    "class": label,
                    "caption": "|".join(sorted(phrases[label])),
                    "split": "train",
                    "category": by_class[label].get("category", ""),
                    "kind": "rendered",
                    "original_path": "espeak-ng" if label in VOICES else soundfont.name,
                }
            )
    with (folder / "manifest.csv").open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _check(folder: Path, like: Path, soundfont: Path) -> None:
    missing = [name for name in ("fluidsynth", "espeak-ng") if not shutil.which(name)]
    if missing:
        raise ValueError(f"{' and '.join(missing)} not found; install them first")
    for what, path in (("soundfont", soundfont), ("manifest", like)):
        if not path.is_file():
            raise ValueError(f"no {what} at {path}")
    if folder.exists():
        raise ValueError(f"{folder} is there already; name a new folder")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        made = render(
            options.folder,
            options.like,
            options.clips,
            options.voices,
            options.soundfont,
            options.seed,
        )
    except ValueError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return 2
    print(f"{made} clips in {options.folder}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soloist.training.rendering")
    parser.add_argument("folder", type=Path, help="a new one")
    parser.add_argument("--like", type=Path, required=True, help="manifest with the classes")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--voices", type=float, default=0.25, help="share of them that speak")
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT, help="General MIDI, .sf2")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
