"""Every sound of a recording into a file of its own, and what is left into another.

python examples/stems_to_files.py [IN FOLDER WORDS...]

All of them come from one pass over the recording, and together they are the recording again.
"""

import sys
from pathlib import Path

import soloist

BUNDLED = Path(soloist.__file__).parent / "app" / "assets" / "mixture.flac"


def main(source: str | Path = BUNDLED, folder: str = "stems", *words: str) -> None:
    recording = soloist.read_audio(source)
    separator = soloist.Separator(*words or ("a woman speaking", "a tabla"))
    Path(folder).mkdir(exist_ok=True)
    for name, stem in separator.stems(recording.samples, recording.sample_rate).items():
        path = Path(folder) / f"{name.replace(' ', '-')}.wav"
        soloist.write_audio(path, stem, recording.sample_rate, subtype="FLOAT")
        print(f"{name}: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
