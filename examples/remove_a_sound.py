"""Take one sound out of a recording, and say what must not go with it.

python examples/remove_a_sound.py [IN OUT WORDS OTHER]

The negative names a sound that might be taken for the one to remove; it stays.
"""

import sys
from pathlib import Path

import soloist

BUNDLED = Path(soloist.__file__).parent / "app" / "assets" / "mixture.flac"


def main(
    source: str | Path = BUNDLED,
    target: str = "removed.wav",
    words: str = "hand drums",
    other: str = "a woman reading aloud",
) -> None:
    recording = soloist.read_audio(source)
    remove = soloist.Separator(words, negatives=other, mode="remove")
    rest = remove(recording.samples, recording.sample_rate)
    soloist.write_audio(target, rest, recording.sample_rate)
    print(f"all but {words}: {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
