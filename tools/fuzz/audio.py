"""Audio files: a seed of each format that libsndfile writes, damaged."""

from __future__ import annotations

import contextlib
import io
import random
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from ...app.cli import run
from ...runtime.errors import SoloistError
from ...streaming.files import read_audio
from . import bundles
from .mutations import damage

SUFFIX = ".audio"  # libsndfile goes by the content
_SHARE_OF_COMMANDS = 0.02  # of cases that also go through `soloist separate`


@cache
def seeds() -> tuple[bytes, ...]:
    """50 ms of noise, in stereo where that is possible, in each format and coding."""
    rng = np.random.default_rng(0)
    files = []
    for format_ in sorted(soundfile.available_formats().keys() - {"RAW", "SD2"}):
        for subtype in sorted(soundfile.available_subtypes(format_)):
            for channels, rate in ((2, 48_000), (1, 8_000)):
                content = io.BytesIO()
                audio = rng.uniform(-0.5, 0.5, (rate // 20, channels))
                # Not each pair that is listed is also written.
                with contextlib.suppress(soundfile.SoundFileError):
                    soundfile.write(content, audio, rate, subtype, format=format_)
                    files.append(content.getvalue())
                    break
    return tuple(files)


def mutate(rng: random.Random) -> bytes:
    return damage(rng, rng.choice(seeds()), seeds())


def use(path: Path) -> None:
    """Read it; now and then, through the command that people use."""
    if path.stat().st_size % round(1 / _SHARE_OF_COMMANDS) == 0:
        _command(path)
    recording = read_audio(path)
    assert recording.samples.dtype == np.float32 and len(recording.samples)
    assert np.isfinite(recording.samples).all(), "samples are not finite"


def _command(path: Path) -> None:
    """`soloist separate` leaves with 0 and the whole output, or with 2, one line and nothing."""
    model, out = path.with_name("model.onnx"), path.with_name("out.wav")
    model.write_bytes(bundles.seeds()[0])
    out.unlink(missing_ok=True)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = run(["separate", str(path), str(out), "-q", "dog", "-m", str(model)])
    assert code in (0, 2), said.getvalue()
    assert out.exists() == (code == 0), f"exit code {code}, output there: {out.exists()}"
    if code == 2:
        raise SoloistError(said.getvalue().removesuffix("\n"))
    assert soundfile.info(out).frames == len(read_audio(path).samples)
