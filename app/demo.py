"""`soloist demo`: a bundled recording, separated exactly as live play would, and what it took."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.queries import conditioning_for
from ..separators.encoders import load_encoder
from ..streaming.files import read_audio, write_together
from ..streaming.latency import Latency
from ..streaming.live.budget import LatencyBudget
from ..streaming.processor import Processor
from ..training.metrics import si_sdr
from .console import emit_json, say
from .options import SHIPPED, Device, Json, Model
from .outputs import make_folder
from .picture import Panel, draw

ASSETS = Path(__file__).parent / "assets"
BLOCK = 128  # frames at a time, as a low-latency driver hands them over
WARM_UP = 50  # blocks that are not counted: the first ones fetch memory and code

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """The bundled recording: the words to ask for, what sounds, and the sound asked for alone."""

    query: str
    sounds: str
    mixture: Samples  # (frames,)
    target: Samples
    sample_rate: int


@dataclass(frozen=True)
class Take:
    """What came out for a scene, aligned with what went in, and at what price."""

    kept: Samples  # (frames,)
    removed: Samples
    budget: Latency
    block_ms: NDArray[np.float64]
    provider: str
    si_sdr_before: float
    si_sdr_after: float


def demo(
    folder: Annotated[
        Path, typer.Option("--output-dir", "-o", metavar="DIR", help="Where the results go.")
    ] = Path("soloist-demo"),
    model: Model = SHIPPED,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Separate a bundled recording as live play would; write the sounds and a picture of them."""
    bundle = Bundle.open(model)
    scene = load_scene()
    make_folder(folder)
    take = play(bundle, scene, device)
    sounds = {"mixture": scene.mixture, "kept": take.kept, "removed": take.removed}
    files = {folder / f"{name}.wav": samples[:, None] for name, samples in sounds.items()}
    write_together(files, scene.sample_rate, subtype="PCM_16")
    _draw(folder / "picture.png", scene, take)
    _tell(bundle, scene, take, folder)
    if as_json:
        emit_json(_figures(bundle, scene, take))


def load_scene(name: str = "demo") -> Scene:
    """A recording in `assets`, as `tools/make_demo_mixture` made it."""
    facts = json.loads((ASSETS / f"{name}.json").read_text("utf-8"))
    before = "" if name == "demo" else f"{name}-"
    mixture, target = (
        read_audio(ASSETS / f"{before}{part}.flac") for part in ("mixture", "target")
    )
    return Scene(
        facts["query"],
        " and ".join(facts["sounds"]),
        mixture.samples[:, 0],
        target.samples[:, 0],
        mixture.sample_rate,
    )


def play(bundle: Bundle, scene: Scene, device: str) -> Take:
    """Play a scene in blocks through the processor that plays live, and time each block."""
    rate, frames = scene.sample_rate, len(scene.mixture)
    if rate != bundle.spec.sample_rate:
        raise SoloistError(
            f"the demo's recording has {rate} Hz, the model {bundle.spec.name!r} works at "
            f"{bundle.spec.sample_rate} Hz; `soloist separate` takes any rate"
        )
    conditioning = conditioning_for(bundle, [scene.query], load=load_encoder)
    processor = Processor(bundle, device=device, conditioning=conditioning)
    processor.prepare(rate, BLOCK, 1, block=BLOCK)
    late = processor.latency_samples
    blocks = -(-(frames + late) // BLOCK)
    given = np.zeros((blocks * BLOCK, 1), np.float32)
    given[:frames, 0] = scene.mixture
    output, block_ms = _blocks(processor, given)
    if bundle.listener is not None:  # it has a thread of its own when it plays live
        alone = Processor(bundle, device=device, conditioning=conditioning, listens=False)
        alone.prepare(rate, BLOCK, 1, block=BLOCK)
        _, block_ms = _blocks(alone, given)
    kept = output[late : late + frames, 0]
    return Take(
        kept=kept,
        removed=scene.mixture - kept,  # what `remove` plays: stems and residual sum to the input
        budget=LatencyBudget(processor.latency, BLOCK).whole,
        block_ms=block_ms,
        provider=processor.provider,
        si_sdr_before=si_sdr(scene.mixture, scene.target),
        si_sdr_after=si_sdr(kept, scene.target),
    )


def _blocks(processor: Processor, given: Samples) -> tuple[Samples, NDArray[np.float64]]:
    """What comes out for whole blocks, and the milliseconds of each after the first ones."""
    output = np.empty_like(given)
    blocks = len(given) // BLOCK
    stamps = np.empty(blocks + 1)
    stamps[0] = time.perf_counter()
    for index in range(blocks):
        at = slice(index * BLOCK, (index + 1) * BLOCK)
        processor.process(given[at], output[at])
        stamps[index + 1] = time.perf_counter()
    return output, 1000 * np.diff(stamps)[WARM_UP:]


def _draw(path: Path, scene: Scene, take: Take) -> None:
    draw(
        path,
        [
            Panel(f"Mixture: {scene.sounds}", scene.mixture),
            Panel(f"Kept: “{scene.query}”", take.kept),
            Panel("Removed: everything else", take.removed),
        ],
        scene.sample_rate,
        f"Soloist, asked for “{scene.query}”",
        f"Played as live, {BLOCK} samples at a time: {take.budget.ms:.2f} ms from in to out. "
        f"SI-SDR {take.si_sdr_before:.1f} dB before, {take.si_sdr_after:.1f} dB after.",
    )


def _block_ms(take: Take) -> dict[str, float]:
    p50, p99 = np.percentile(take.block_ms, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "max": float(take.block_ms.max())}


def _figures(bundle: Bundle, scene: Scene, take: Take) -> dict[str, object]:
    return {
        "model": bundle.spec.name,
        "provider": take.provider,
        "query": scene.query,
        "latency": take.budget.json(),
        "block_frames": BLOCK,
        "block_ms": _block_ms(take),
        "si_sdr_before": take.si_sdr_before,
        "si_sdr_after": take.si_sdr_after,
    }


def _tell(bundle: Bundle, scene: Scene, take: Take, folder: Path) -> None:
    seconds = len(scene.mixture) / scene.sample_rate
    limit = 1000 * BLOCK / scene.sample_rate
    say(f"{seconds:.1f} s of {scene.sounds}; asked for “{scene.query}”")
    say(f"model {bundle.spec.name} on {take.provider}, {BLOCK} samples at a time, as live\n")
    say("Latency as in live play, without what the sound card adds")
    say(f"{take.budget.table()}\n")
    say(f"Time to process a block, of the {limit:.2f} ms that it lasts")
    say("  ".join(f"{k} {v:.2f} ms ({v / limit:.0%})" for k, v in _block_ms(take).items()) + "\n")
    before, after = take.si_sdr_before, take.si_sdr_after
    say(f"SI-SDR {before:.1f} dB before, {after:.1f} dB after: {after - before:+.1f} dB\n")
    say(f"Listen to {folder}/mixture.wav, then kept.wav and removed.wav beside it;")
    say(f"look at   {folder}/picture.png")
    say(f"Next:     soloist separate {folder}/mixture.wav out.wav --query WORDS")
