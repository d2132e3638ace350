"""Keep one sound of a recording, asked for by words.

python examples/separate_a_file.py [IN OUT WORDS]
"""

import sys
from pathlib import Path

import soloist

BUNDLED = Path(soloist.__file__).parent / "app" / "assets" / "mixture.flac"


def main(
    source: str | Path = BUNDLED, target: str = "kept.wav", words: str = "a woman speaking"
) -> None:
    recording = soloist.read_audio(source)
    keep = soloist.Separator(words)
    kept = keep(recording.samples, recording.sample_rate)  # as long, at the same rate
    soloist.write_audio(target, kept, recording.sample_rate)
    print(f"{words}: {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
