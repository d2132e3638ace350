"""`soloist info`: what a bundle promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError
from ..runtime.listener import Listener
from ..runtime.network import MaskNetwork
from ..runtime.session import Session
from ..runtime.spec import Spec
from ..streaming.latency import adapter_delay
from .console import emit_json
from .options import SHIPPED, Device, Json, Model

# Block sizes that drivers commonly have; 480 is 10 ms, what WASAPI hands over.
COMMON_BLOCKS = (64, 128, 256, 480, 512, 1024)


def info(
    file: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="The same as --model.")
    ] = None,
    model: Model = SHIPPED,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show a model: what it separates, its latency, where it runs, how exact its export is."""
    if file is not None and model not in (SHIPPED, file):
        raise SoloistError(f"found two models, {file!r} and {model!r}; name one")
    bundle = Bundle.open(file or model)
    network = Session if bundle.spec.kind == "streaming" else MaskNetwork
    provider = network(bundle, device=device).provider
    if as_json:
        facts = {"path": str(bundle.path), "provider": provider, "card": bundle.card}
        emit_json(asdict(bundle.spec) | facts | {"block_latency_samples": _latencies(bundle.spec)})
        return
    for name, value in _rows(bundle, provider):
        print(f"{name:<16}{value}")
    if bundle.card:
        print(f"\n{bundle.card.strip()}")


def _rows(bundle: Bundle, provider: str) -> Iterator[tuple[str, str]]:
    spec = bundle.spec
    ms = 1000 * spec.latency_samples / spec.sample_rate
    yield "model", f"{spec.name} {spec.version}, {spec.architecture}, {spec.kind}"
    yield "file", f"{bundle.path}, {bundle.path.stat().st_size / 1e6:.1f} MB"
    yield "licence", spec.license
    yield "made with", spec.created_with
    yield "precision", spec.precision
    yield "asks for", ", ".join(query.name for query in spec.queries)
    yield "new words", _new_words(bundle)
    if bundle.listener is not None:
        yield "listens", _listens(bundle.listener, spec.sample_rate)
    yield "frames", f"{spec.frames.n_fft} samples every {spec.frames.hop}, at {spec.sample_rate} Hz"
    if spec.kind == "windowed":
        yield "windows", _windows(spec)
    yield "latency", f"{ms:.2f} ms ({spec.latency_samples} samples)"
    late = ", ".join(f"{delay} for {block}" for block, delay in _latencies(spec).items())
    yield "after a block", f"{late} samples"
    yield "runs on", provider
    for name, figure in spec.parity.items():
        yield f"export {name}", f"{figure:.3g}"


def _latencies(spec: Spec) -> dict[int, int]:
    """From a block handed in to the same audio in a block handed out, in samples, by block size."""
    hop = spec.frames.hop
    delay = spec.latency_samples - hop  # the hop itself has come with the block
    return {block: delay + adapter_delay(hop, block) for block in COMMON_BLOCKS}


def _windows(spec: Spec) -> str:
    """How a windowed model plays unless told otherwise, and what it can be told."""
    plan = spec.schedule()
    frame_ms = 1000 * spec.frames.hop / spec.sample_rate
    most = plan.emitted - plan.crossfade - plan.shortest_advance + plan.baked
    return (
        f"{plan.window_samples / spec.sample_rate:.2f} s every {plan.advance} frames of "
        f"{frame_ms:g} ms (--advance {plan.shortest_advance} to {plan.longest_advance}), "
        f"look-ahead {plan.lookahead} (--lookahead {plan.baked} to {most})"
    )


def _listens(listener: Listener, rate: int) -> str:
    hearing = listener.hearing
    return (
        f"for {len(hearing.classes)} sounds, {listener.samples / rate:.2g} s every "
        f"{hearing.every_s:g} s, and takes what else it hears off the words"
    )


def _new_words(bundle: Bundle) -> str:
    if bundle.conditioner is None:
        return "no, this model plays the sounds it was made for"
    if bundle.vocabulary is None:
        return "yes"
    words = bundle.vocabulary
    return f"yes; knows {len(words.phrases)} phrases for {len(words.classes)} sounds"
