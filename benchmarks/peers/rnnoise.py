"""RNNoise (J.-M. Valin), through the package pyrnnoise, which carries library and weights."""

from __future__ import annotations

from pathlib import Path

from .peer import Absent, Peer, Samples

# denoise.c: windows of two frames, and the features' pitch looks one frame ahead.
_FRAMES_OF_DELAY = 3


def open_peer(_: Path | None) -> Peer:
    """Raises `Absent` without the package."""
    try:
        from pyrnnoise import rnnoise
    except (ImportError, OSError) as error:
        raise Absent("pip install pyrnnoise") from error
    state = rnnoise.create()

    def process(block: Samples) -> Samples:
        frame, _ = rnnoise.process_mono_frame(state, block)
        return frame.astype("float32") / 32767.0  # type: ignore[no-any-return]

    size = int(rnnoise.FRAME_SIZE)
    return Peer(
        "RNNoise",
        "speech from noise",
        "its own",
        int(rnnoise.SAMPLE_RATE),
        size,
        _FRAMES_OF_DELAY * size,
        process,
    )
