"""What `soloist tune` does: the settings that there are, trials of them, told as they go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ...benchmarks.misses import blocks_needed
from ...benchmarks.tuning import (
    Candidate,
    Tried,
    first_that_holds,
    on_devices,
    on_no_device,
    server_block,
    set_server_block,
)
from ...runtime.errors import DeviceError, SoloistError
from ...streaming.live.plan import LivePlan
from ..console import people, progress_bar, say
from ..live import sound_system


@contextmanager
def server_kept(server_blocks: list[int] | None) -> Iterator[Callable[[], None]]:
    """JACK's server has its own block size again afterwards, unless the function was called."""
    before = server_block() if server_blocks else 0

    def keep() -> None:
        nonlocal before
        before = 0

    try:
        yield keep
    finally:
        if before:
            set_server_block(before)


def has_devices() -> bool:
    """Whether PortAudio finds any."""
    try:
        return bool(sound_system.ask()["devices"])
    except DeviceError:
        return False


def candidates(plan: LivePlan, real: bool, server_blocks: Sequence[int]) -> list[Candidate]:
    """Settings of the plan, on devices or without. Raises `SoloistError` where there are none."""
    threads = (1, 2) if (os.cpu_count() or 1) > 1 and plan.device != "cuda" else (1,)
    if real:
        say("looking at what the devices take")
        found = on_devices(plan, threads, server_blocks, say)
    else:
        found = on_no_device(plan, threads)
    if not found:
        raise SoloistError("no setting can be played here; `soloist bench` says how fast it is")
    return found


def try_out(candidates: Sequence[Candidate], misses: float, seconds: float) -> list[Tried]:
    """Trials, told as they go."""
    say(
        f"{len(candidates)} settings, least delay first, for at least {seconds:g} s each; that at "
        f"most {misses:g} of blocks are missed takes {blocks_needed(misses)} blocks to tell"
    )
    with progress_bar("playing") as moved:

        def began(candidate: Candidate, length: float) -> Callable[[float], object]:
            if not people.is_terminal:
                say(f"{candidate.name}: {candidate.latency}, in turns for {length:.0f} s")
            return moved

        def ended(each: Tried) -> None:
            say(
                f"  {each.candidate.latency.ms:6.2f} ms  {each.candidate.name}: missed "
                f"{each.trial.ours}, copying alone {each.trial.machine}: {each.trial.verdict}"
            )

        return first_that_holds(candidates, misses, seconds, began, ended)


def failure(last: Tried) -> str:
    """That none holds, and what to do."""
    return (
        f"no setting holds: {last.candidate.name} missed {last.trial.ours}, copying alone "
        f"{last.trial.machine}; close other programs, ask for fewer sounds, or allow more --misses"
    )


def conclusion(best: Tried, limit: float) -> str:
    """What the best is like, and what makes it so."""
    candidate, trial = best.candidate, best.trial
    least = f"{candidate.name}: {candidate.latency}"
    if trial.verdict == "holds":
        return (
            f"{least}; missed {trial.ours}, so at most {trial.ours.at_most():.2g} of blocks with a "
            f"confidence of 95 %; copying alone missed {trial.machine}"
        )
    return (
        f"{least}; missed {trial.ours}, copying alone {trial.machine}: this machine does not hold "
        f"{limit:g} by itself, and Soloist misses no more than it does"
    )
