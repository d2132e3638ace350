"""Soloist beside clients that only copy, in turns on one server: blocks missed, delay added.

    python -m soloist.benchmarks.pass_through [-i DEVICE -o DEVICE] [--seconds 60] [--turn 10]
        [--threads 1] [--model solo] [--schedule inline] [--keep-awake] [--json]

A machine misses blocks of the simplest client, too: Soloist's misses less that client's, in the
same minutes, are what Soloist costs. Part of that is only that it computes, whatever it does: where
a machine stops a program for a moment, only who is computing is late. So another client copies and
then computes, with as large weights, what takes as long as a block of Soloist's (its p50). All get
`seconds` in turns, a turn's first second not counted.

The delay is measured over JACK, from our own output to our own input: with the processor less
without it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, get_args

from ..runtime.errors import SoloistError
from ..streaming.live.plan import LivePlan, Schedule
from ..streaming.live.report import Report
from .environment import environment, environment_line
from .misses import Count, by_chance
from .round_trip import measure, own_ports
from .turns import copy_live, play_live

_CLIENTS = ("soloist", "copying", "copying, as busy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 where the devices cannot be used."""
    options = _parse(arguments)
    plan = LivePlan(
        options.model,
        device="cpu",
        threads=options.threads,
        input_device=options.input,
        output_device=options.output,
        awake=options.keep_awake,
        schedule=options.schedule,
    )
    try:
        machine = environment()
        found = compare(plan, options.seconds, options.turn)
        if found.pop("jack"):
            found["added_frames"] = measure(own_ports(plan)).added
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps({"environment": machine, **found}, indent=1))
    else:
        print(environment_line(machine))
        print(table(found))
    return 0


def compare(plan: LivePlan, seconds: float, turn: float) -> dict[str, Any]:
    """Counts of the three over so many seconds each, in turns; each begins every third time."""
    counts = dict.fromkeys(_CLIENTS, Count())
    order, done, busy_ms = list(_CLIENTS), 0.0, 0.0
    report = Report("starting")
    while done < seconds:
        length = min(turn, seconds - done)
        for client in order:
            if client == "soloist":
                played, report = play_live(plan, length)
                assert report.meters is not None
                busy_ms = busy_ms or report.meters.process_p50_ms
            else:
                busy = busy_ms if client == "copying, as busy" else 0.0
                played = copy_live(plan, report, length, busy)
            counts[client] += played
        order.append(order.pop(0))
        done += length
    meters, wiring = report.meters, report.wiring
    assert meters is not None and wiring is not None
    ours = counts["soloist"]
    return {
        "source": wiring.source,
        "sink": wiring.sink,
        "sample_rate": wiring.sample_rate,
        "block": meters.block,
        "jack": report.jack is not None,
        "clients": {
            name: {"blocks": count.blocks, "misses": count.misses} for name, count in counts.items()
        },
        "masks": {"hops": ours.hops, "held": ours.held},
        "by_chance": {name: by_chance(ours, counts[name]) for name in _CLIENTS[1:]},
        "busy_ms": busy_ms,
        "compute_ms": {"p50": meters.process_p50_ms, "p99": meters.process_p99_ms},
    }


def table(found: dict[str, Any]) -> str:
    """The same for people."""
    counts = {name: Count(**count) for name, count in found["clients"].items()}
    ours = counts["soloist"]
    lines = [
        f"{found['source']} to {found['sink']}: {found['sample_rate']} Hz, blocks of "
        f"{found['block']} frames",
        f"{'':<18}{'blocks':>8}{'missed':>8}{'of a million':>14}{'at most (95 %)':>16}",
    ]
    for name, count in counts.items():
        lines.append(
            f"{name:<18}{count.blocks:>8}{count.misses:>8}{1e6 * count.share:>14.0f}"
            f"{1e6 * count.at_most():>16.0f}"
        )
    for name, chance in found["by_chance"].items():
        lines.append(
            f"soloist less {name}: {1e6 * (ours.share - counts[name].share):+.0f} of a million; as "
            f"many more or further ones come by chance with a probability of {chance:.2f}"
        )
    if "added_frames" in found:
        added = found["added_frames"]
        lines.append(
            f"added latency, measured: {added:.2f} frames, "
            f"{1000 * added / found['sample_rate']:.3f} ms"
        )
    masks, compute = found["masks"], found["compute_ms"]
    if masks["hops"]:
        lines.append(
            f"masks were older than those of the block before in {masks['held']} of "
            f"{masks['hops']} hops"
        )
    lines.append(
        f"a block of Soloist's: p50 {compute['p50']:.2f} ms, p99 {compute['p99']:.2f} ms; the last "
        f"client computes for {found['busy_ms']:.2f} ms"
    )
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.pass_through")
    parser.add_argument("--model", default="solo", help="a shipped name or a bundle")
    parser.add_argument("-i", "--input", default=None, help="a device, else the system's default")
    parser.add_argument("-o", "--output", default=None, help="likewise")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument(
        "--schedule", choices=get_args(Schedule), default="inline", help="as `soloist live`"
    )
    parser.add_argument(
        "--keep-awake", action="store_true", help="as `soloist live`; the copying client never does"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of each")
    parser.add_argument("--turn", type=float, default=10.0, help="seconds in a row")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
