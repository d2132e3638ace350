"""The settings of live play that there are, by their delay, and the first that holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..runtime.bundle import Bundle
from ..runtime.errors import BundleError, DeviceError, SoloistError, TooSlowError
from ..streaming.latency import Latency
from ..streaming.live.jack_graph import jack_module, open_client
from ..streaming.live.plan import LivePlan
from ..streaming.live.report import Report
from .misses import Count, Trial, blocks_needed, try_out
from .turns import SETTLE_S, copy_live, copy_paced, play_live, play_paced

BLOCKS = (32, 64, 128, 256, 512, 1024)
# Between two clocks: by how much callbacks may be late, in seconds.
MARGINS_S = (0.002, 0.005, 0.01, 0.02, 0.04)
TURN_S = 10.0
_LOOK_S = 0.3


@dataclass(frozen=True)
class Candidate:
    """A setting, how late sound is with it, and how to play it and the copying client in turns.

    `ends` are the names of its devices, if it has some.
    """

    plan: LivePlan
    latency: Latency
    block: int
    play: Callable[[float], Count]
    copy: Callable[[float], Count]
    ends: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """For people: what sets it apart."""
        plan, hint = self.plan, self.plan.latency
        shown = [f"{self.block} frames", f"{plan.threads} thread{'s'[: plan.threads > 1]}"]
        shown += [] if hint == "low" else [f"latency {hint if hint == 'high' else f'{hint:g} s'}"]
        shown += [f"advance {plan.advance}"] if plan.advance is not None else []
        shown += ["tight"] if plan.budget == "measured" else []
        shown += [] if plan.schedule == "inline" else [plan.schedule]
        return ", ".join(shown)


@dataclass(frozen=True)
class Tried:
    """A candidate's trial."""

    candidate: Candidate
    trial: Trial

    def json(self) -> dict[str, Any]:
        """As plain values."""
        candidate, trial = self.candidate, self.trial
        return {
            "setting": candidate.name,
            "block": candidate.block,
            "latency": candidate.latency.json(),
            "verdict": trial.verdict,
            "blocks": trial.ours.blocks,
            "misses": trial.ours.misses,
            "hops": trial.ours.hops,
            "held": trial.ours.held,
            "machine_blocks": trial.machine.blocks,
            "machine_misses": trial.machine.misses,
        }


def look(plan: LivePlan) -> Report:
    """What a plan is like on its devices. Raises `SoloistError` where it cannot be played."""
    return play_live(plan, _LOOK_S)[1]


def on_devices(
    plan: LivePlan,
    threads: Sequence[int],
    server_blocks: Sequence[int],
    tell: Callable[[str], object],
) -> list[Candidate]:
    """The settings that the plan's devices take, least delay first; fewer threads before more.

    Where they are JACK's, its server has a block size, and is given those of `server_blocks` as
    well. Raises `SoloistError` where the plan itself cannot be played. What else cannot is told.
    """
    first = look(plan)
    if server_blocks and first.jack is None:
        raise DeviceError("--server-blocks are of JACK's server, and these devices are not JACK's")
    found = []
    for variant in _variants(plan, first, threads, server_blocks):
        try:
            if server_blocks:
                set_server_block(variant.block_size)
            report = look(variant)
        except SoloistError as error:
            tell(f"left out: {error}")
            continue
        assert report.latency and report.meters and report.wiring
        if report.jack is not None:  # its server's block, so that a preset tells of another one
            variant = replace(variant, block_size=report.meters.block)
        found.append(
            Candidate(
                variant,
                report.latency.whole,
                report.meters.block,
                partial(_play, variant, bool(server_blocks)),
                partial(_copy, variant, report),
                (report.wiring.source, report.wiring.sink),
            )
        )
    return sorted(found, key=_cost)


def on_no_device(plan: LivePlan, threads: Sequence[int]) -> list[Candidate]:
    """The same for blocks that come to the engine at their pace."""
    rate = plan.sample_rate or Bundle.open(plan.model).spec.sample_rate
    blocks = (plan.block_size,) if plan.block_size else BLOCKS
    found = []
    plans = _windowed(replace(plan, sample_rate=rate))
    for variant in _with_threads([*plans, *_trailing(plans)], threads):
        for block in blocks:
            processor = variant.processor()
            try:
                processor.prepare(rate, block, 1, block=block, realtime=True)
            except TooSlowError:
                continue
            delay = processor.latency.plus("block collected", block)
            processor.release()
            sized = replace(variant, block_size=block)
            found.append(
                Candidate(
                    sized,
                    delay,
                    block,
                    partial(_paced, sized),
                    partial(copy_paced, block, rate),
                )
            )
    return sorted(found, key=_cost)


def seconds_for(candidate: Candidate, limit: float, seconds: float) -> float:
    """How long it has to be played: as long as asked for, and until the limit can be told."""
    return max(seconds, blocks_needed(limit) * candidate.block / candidate.latency.sample_rate)


def first_that_holds(
    candidates: Sequence[Candidate],
    limit: float,
    seconds: float,
    began: Callable[[Candidate, float], Callable[[float], object]],
    ended: Callable[[Tried], object],
) -> list[Tried]:
    """Trials up to and with the first candidate that does not miss, if any is.

    `began` hears of each candidate and for how long it is to be played, and returns what hears of
    the part that is done; `ended` hears what came of it.
    """
    tried: list[Tried] = []
    for candidate in candidates:
        length = seconds_for(candidate, limit, seconds)
        tell = began(candidate, length)
        trial = try_out(candidate.play, candidate.copy, limit, length, TURN_S, tell)
        tried.append(Tried(candidate, trial))
        ended(tried[-1])
        if trial.verdict != "misses":
            break
    return tried


def set_server_block(frames: int) -> None:
    """Give JACK's server blocks of so many frames, for all its clients. Raises `DeviceError`."""
    jack = jack_module()
    client = open_client("soloist-tune")
    assert jack is not None
    try:
        client.blocksize = frames
    except jack.JackError as error:
        raise DeviceError(f"JACK's server takes no blocks of {frames} frames: {error}") from error
    finally:
        client.close()


def server_block() -> int:
    """Frames of a block of JACK's server. Raises `DeviceError` where there is none."""
    client = open_client("soloist-tune")
    try:
        return int(client.blocksize)
    finally:
        client.close()


def _play(plan: LivePlan, sets_server: bool, seconds: float) -> Count:
    if sets_server:
        set_server_block(plan.block_size)
    return play_live(plan, seconds)[0]


def _copy(plan: LivePlan, report: Report, seconds: float) -> Count:
    return copy_live(plan, report, seconds)


def _variants(
    plan: LivePlan, first: Report, threads: Sequence[int], server_blocks: Sequence[int]
) -> list[LivePlan]:
    """What may be chosen: JACK's server has its own block, two clocks need a margin, other drivers
    take a block size and a hint; and the network may run in the callback or beside it."""
    assert first.latency is not None
    plans = [plan]
    if server_blocks:
        plans = [replace(plan, block_size=size) for size in server_blocks]
    elif first.latency.bridge is not None:
        plans = [replace(plan, latency=margin) for margin in MARGINS_S]
    elif first.jack is None:
        sizes = [plan.block_size] if plan.block_size else [0, *BLOCKS]
        plans = [replace(plan, block_size=size) for size in sizes]
        plans.append(replace(plan, latency="high"))
    plans = [each for base in plans for each in _windowed(base)]
    beside = [replace(each, schedule="worker") for each in plans]
    return _with_threads([*plans, *_trailing(plans), *beside], threads)


def _trailing(plans: Sequence[LivePlan]) -> list[LivePlan]:
    """The same with trailing masks, of streaming models."""
    streaming = [each for each in plans if Bundle.open(each.model).spec.kind == "streaming"]
    return [replace(each, schedule="trailing") for each in streaming]


def _cost(candidate: Candidate) -> tuple[int, bool, int]:
    """What is cheapest first: delay, then how well it separates, then processors."""
    plan = candidate.plan
    return candidate.latency.total, plan.schedule == "trailing", plan.threads


def _with_threads(plans: Sequence[LivePlan], threads: Sequence[int]) -> list[LivePlan]:
    return [replace(plan, threads=count) for plan in plans for count in threads]


def _windowed(plan: LivePlan) -> list[LivePlan]:
    """Of a windowed model: windows nearer together, and little time to spare for each."""
    spec = Bundle.open(plan.model).spec
    if spec.kind != "windowed":
        return [plan]
    own = spec.schedule(advance=plan.advance, lookahead=plan.lookahead)
    advances = {own.advance}
    for nearer in () if plan.advance else (own.advance // 4, own.advance // 2):
        with suppress(BundleError):  # nearer than the model permits
            advances.add(spec.schedule(advance=nearer, lookahead=plan.lookahead).advance)
    return [
        replace(plan, advance=advance, budget=budget)
        for advance in sorted(advances)
        for budget in ("measured", "advance")
    ]


def _paced(plan: LivePlan, seconds: float) -> Count:
    processor = plan.processor()
    rate = plan.sample_rate or processor.sample_rate
    processor.prepare(rate, plan.block_size, 1, block=plan.block_size, realtime=True)
    play_paced(processor, plan.block_size, rate, SETTLE_S)
    counters = processor.counters
    counters.clear()
    try:
        played = play_paced(processor, plan.block_size, rate, seconds)
    finally:
        processor.release()
    if plan.schedule == "trailing":
        return replace(played, hops=counters.hops, held=counters.late)
    return played
