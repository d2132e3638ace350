"""`soloist tune`: the setting with the least delay that holds on this machine, as a preset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...runtime.bundle import Bundle
from ...runtime.errors import SoloistError
from ...streaming.live.jack_graph import JackOptions
from ...streaming.live.plan import LivePlan
from ..console import answer, emit_json, say
from ..live import presets
from ..live.options import (
    BlockSize,
    Channels,
    InputDevice,
    Jack,
    LatencyHint,
    OutputDevice,
    SampleRate,
    latency_hint,
)
from ..live.preset_keys import KEYS
from ..options import SHIPPED, Device, Json, Keep, Linked, Model, Queries, Unwanted
from ..windows import Advance, Lookahead, in_frames
from ..words import asked_of
from .command import DAY_S, numbers

if TYPE_CHECKING:
    from ...benchmarks.tuning import Candidate


def share(text: str) -> float:
    """A probability between 0 and 1, both excluded."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 1e-9 <= value < 1.0:
        raise typer.BadParameter(f"found {text!r}, expected a probability such as 1e-4")
    return value


def tune(
    name: Annotated[
        str, typer.Argument(metavar="[PRESET]", help="What to write: a name or a file.")
    ] = "tuned",
    misses: Annotated[
        float,
        typer.Option(
            "--misses",
            metavar="SHARE",
            parser=share,
            help="Of the blocks, those that may be missed.",
        ),
    ] = 1e-4,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0.1,
            max=DAY_S,
            help="How long a setting has to hold; longer where the share of misses takes longer to "
            "tell.",
        ),
    ] = 60.0,
    query: Queries = None,
    unwanted: Unwanted = None,
    keep: Keep = True,
    linked: Linked = True,
    model: Model = SHIPPED,
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    jack: Jack = False,
    block_size: BlockSize = 0,
    server_blocks: Annotated[
        Any,
        typer.Option(
            "--server-blocks",
            metavar="N,...",
            parser=numbers(8192),
            help="JACK: frames of a block to try, by giving them to the server, for all its "
            "clients; it keeps those that are found, else its own.",
        ),
    ] = None,
    sample_rate: SampleRate = None,
    channels: Channels = None,
    latency: LatencyHint = "low",
    advance: Advance = None,
    lookahead: Lookahead = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the setting with the least delay that holds here, and keep it for `soloist live`.

    Settings are played from the least delay on, in turns with a client that only copies its input:
    what that misses is the machine's own. The first whose misses are surely rare enough, or on a
    machine that misses too many by itself are no more than the machine's, becomes the preset.
    """
    file = presets.prepare(name)
    bundle = Bundle.open(model)
    asked = asked_of(bundle, query, unwanted)
    plan = LivePlan(
        str(bundle.path),
        mode="keep" if keep else "remove",
        linked=linked,
        device=device,
        conditioning=asked.conditioning,
        negatives=asked.negatives,
        input_device=input_device,
        output_device=output_device,
        jack=JackOptions(jack),
        sample_rate=sample_rate,
        block_size=block_size,
        channels=channels,
        latency=latency_hint(latency),
        advance=in_frames(advance, bundle.spec),
        lookahead=in_frames(lookahead, bundle.spec),
    )
    from . import tune_run as run  # here: what measures takes a while to load

    wanted = (jack, server_blocks, input_device, output_device) != (False, None, None, None)
    real = wanted or run.has_devices()
    if not real:
        say("no audio device found: tuning the engine alone, with blocks that come at their pace")
    with run.server_kept(server_blocks) as keep_server:
        candidates = run.candidates(plan, real, server_blocks or ())
        tried = run.try_out(candidates, misses, seconds)
        held = tried[-1].trial.verdict != "misses"
        if held:
            keep_server()
    if held:
        given = {
            "model": model,
            "query": query,
            "unwanted": unwanted,
            "keep": keep,
            "linked": linked,
            "jack": jack or None,
            "sample_rate": sample_rate,
            "channels": channels,
            "lookahead": lookahead,
            "device": device,
        }
        presets.save(file, _chosen(plan, tried[-1].candidate) | given)
    if as_json:
        emit_json(
            {
                "model": bundle.spec.name,
                "devices": real,
                "misses": misses,
                "seconds": seconds,
                "tried": [each.json() for each in tried],
                "preset": str(file) if held else None,
            }
        )
    if not held:
        raise SoloistError(run.failure(tried[-1]))
    if not as_json:
        answer.print(run.conclusion(tried[-1], misses), markup=False)
    say(f"written: {file}; play it with: soloist live {name}")


def _chosen(asked: LivePlan, candidate: Candidate) -> dict[str, Any]:
    """What the candidate stands for, by the parameter of `live`; all others are None."""
    plan = candidate.plan
    source, sink = candidate.ends
    return {
        **dict.fromkeys(key.parameter for key in KEYS.values()),
        # By the names of those that were opened: indices move.
        "input_device": source if asked.input_device is not None else None,
        "output_device": sink if asked.output_device is not None else None,
        "block_size": plan.block_size,
        "latency": str(plan.latency),
        "schedule": plan.schedule,
        "threads": plan.threads,
        "advance": plan.advance,
        "tight": plan.budget == "measured",
    }
