"""Audio in a loop of your own, block by block, and other words while it plays.

python examples/your_own_loop.py [IN OUT]

The file stands for whatever gives and takes blocks. New words glide in without a click.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

import soloist

BUNDLED = Path(soloist.__file__).parent / "app" / "assets" / "mixture.flac"
BLOCK = 480  # 10 ms at 48 kHz; any number will do


def main(source: str | Path = BUNDLED, target: str = "changed.wav") -> None:
    separator = soloist.Separator("a woman speaking")

    def blocks(file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
        for number, block in enumerate(file.blocks(BLOCK, dtype="float32", always_2d=True)):
            if number == file.frames // BLOCK // 2:
                separator.ask("a tabla")
            yield block

    with soundfile.SoundFile(source) as file:
        rate, channels = file.samplerate, file.channels
        print(f"what is heard is late by {separator.latency(rate)}")
        with soundfile.SoundFile(target, "w", rate, channels) as output:
            for block in separator.blocks(blocks(file), rate):
                output.write(block)


if __name__ == "__main__":
    main(*sys.argv[1:])
