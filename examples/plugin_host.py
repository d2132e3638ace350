"""What a plugin host does with a Processor: prepare, process, automate, save and restore.

python examples/plugin_host.py

Parameters change at the sample they are due, and `process` may be called from an audio callback.
"""

from pathlib import Path

import numpy as np

import soloist

BUNDLED = Path(soloist.__file__).parent / "app" / "assets" / "mixture.flac"
BLOCK = 256


def main() -> None:
    audio, rate = soloist.read_audio(BUNDLED)[:2]
    processor = soloist.Separator("a woman speaking").processor()
    for parameter in processor.parameters:
        print(f"{parameter.id:<15}{parameter.text(parameter.default):>9}  {parameter.name}")
    processor.set("residual.gain", "-20 dB")
    processor.prepare(rate, BLOCK, audio.shape[1], block=BLOCK)
    print(f"latency {processor.latency}, tail {processor.tail_samples} samples")

    out = np.zeros_like(audio)
    for start in range(0, len(audio) - BLOCK + 1, BLOCK):
        # In the middle of the first block after 3 s the rest comes back, over 10 ms.
        due = 0 <= start - 3 * rate < BLOCK
        changes = [soloist.Change(BLOCK // 2, "residual.gain", 0.0)] if due else []
        processor.process(audio[start : start + BLOCK], out[start : start + BLOCK], changes)
    soloist.write_audio("automated.wav", out, rate)

    saved = processor.state  # plain values by id, for the host's project file
    processor.restore(saved | {"bypass": 1.0})


if __name__ == "__main__":
    main()
