"""Demucs for speech (A. Défossez), `dns48` in the streamer of the package denoiser.

Its weights come over the network when first used. Where they are not in torch's cache, none are
fetched: they are random then, which changes what is heard and not what it costs.
"""

from __future__ import annotations

from pathlib import Path

from .peer import Absent, Peer, Samples

_WEIGHTS = "dns48-11decc9d8e3f0998.th"


def open_peer(_: Path | None) -> Peer:
    """Raises `Absent` without the package."""
    try:
        import torch
        from denoiser.demucs import Demucs, DemucsStreamer
    except ImportError as error:
        raise Absent("pip install torch denoiser") from error
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Demucs(hidden=48, sample_rate=16_000).eval()
    cached = Path(torch.hub.get_dir()) / "checkpoints" / _WEIGHTS
    if cached.is_file():
        model.load_state_dict(torch.load(cached, "cpu", weights_only=True))
    streamer = DemucsStreamer(model)
    # Until it has heard a whole frame it gives nothing: the frame is on its way in the silence.
    with torch.no_grad():
        streamer.feed(torch.zeros(1, streamer.total_length - streamer.stride))

    def process(block: Samples) -> Samples:
        with torch.no_grad():
            return streamer.feed(torch.from_numpy(block)[None])[0].numpy()  # type: ignore[no-any-return]

    return Peer(
        "denoiser",
        "speech from noise",
        "its own" if cached.is_file() else "random",
        model.sample_rate,
        streamer.stride,
        streamer.total_length,
        process,
    )
