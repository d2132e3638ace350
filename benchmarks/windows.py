"""What a windowed model costs: a window, a core, delay, and the hops of the audio thread beside it.

    python -m soloist.benchmarks.windows MODEL [--advances 4,8,16] [--seconds 10] [--json]

For each advance: how late the sound is, with one whole advance for a window (what is promised) and
with as much as it takes here (`--tight`), and the share of a core that windows take. An advance
whose windows take longer than it lasts cannot be played and has no figures.

Then the audio thread: `Processor.process` of a block of one hop, back to back without the windows,
and at the hop rate with windows being made on their thread, which is what can get in its way.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import SoloistError, TooSlowError
from ..runtime.network import MaskNetwork
from ..streaming.pace import paced
from ..streaming.processor import Processor
from .environment import environment, environment_line

PERCENTILES = (50.0, 99.0, 99.9)
_WARM_UP = 20  # hops
_SWITCH_INTERVAL_S = 1e-4  # as in live play


def windows(bundle: Bundle, device: str, runs: int) -> NDArray[np.float64]:
    """Seconds of each of so many runs of the network on one block of a channel, the first left out.

    Noise, so that no part of a network finds nothing to do.
    """
    spec = bundle.spec
    network = MaskNetwork(bundle, device=device)
    shape = (1, spec.frames.bins, spec.window_frames or 0, 2)
    block = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    network(block)
    stamps = [time.perf_counter()]
    for _ in range(runs):
        network(block)
        stamps.append(time.perf_counter())
    return np.diff(stamps)


def delays(bundle: Bundle, advances: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """For each advance in frames what it means where a window takes so many seconds."""
    spec = bundle.spec
    hop_ms = 1000 * spec.frames.hop / spec.sample_rate
    rows = []
    for advance in advances:
        plan = spec.schedule(advance=advance)
        row = {"advance": advance, "every_ms": advance * hop_ms, "core": None, "latency_ms": None}
        try:
            tight = paced(plan, seconds, spec.sample_rate, "measured")
        except TooSlowError:
            tight = None
        if tight is not None and tight.advance == advance:
            row["core"] = 1000 * seconds / (advance * hop_ms)
            row["latency_ms"] = 1000 * plan.latency_samples / spec.sample_rate
            row["tight_ms"] = 1000 * tight.latency_samples / spec.sample_rate
        rows.append(row)
    return rows


def hops(bundle: Bundle, device: str, seconds: float, *, live: bool) -> dict[str, float]:
    """Percentiles of a hop on the audio thread in microseconds, and hops whose masks came late."""
    spec = bundle.spec
    hop, rate = spec.frames.hop, spec.sample_rate
    processor = Processor(bundle, device=device)
    processor.prepare(rate, hop, 1, block=hop, realtime=live)
    count = max(1, round(seconds * rate / hop))
    audio = 0.1 * np.random.default_rng(0).standard_normal((count + _WARM_UP, hop, 1))
    blocks, out = audio.astype(np.float32), np.zeros((hop, 1), np.float32)
    took = np.zeros(len(blocks))
    interval = sys.getswitchinterval()
    gc.collect()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        due = time.perf_counter()
        for index, block in enumerate(blocks):
            due += hop / rate
            if live:
                time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            processor.process(block, out)
            took[index] = time.perf_counter() - began
    finally:
        sys.setswitchinterval(interval)
        gc.enable()
        processor.release()
    if not live:  # a few hops wait for a window: the median does not see them
        return {"p50": float(np.median(took[_WARM_UP:])) * 1e6}
    values = np.percentile(took[_WARM_UP:], PERCENTILES) * 1e6
    found = {f"p{p:g}": float(value) for p, value in zip(PERCENTILES, values, strict=True)}
    return {**found, "max": float(took[_WARM_UP:].max()) * 1e6, "late": processor.counters.late}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model or device that cannot be used."""
    options = _parse(arguments)
    try:
        bundle = Bundle.open(options.model)
        plan = bundle.spec.schedule()
        seconds = windows(bundle, options.device, options.runs)
        advances = options.advances or sorted({plan.advance, plan.longest_advance})
        report = {
            "environment": environment(),
            "model": bundle.spec.name,
            "window_s": {"p50": float(np.median(seconds)), "max": float(seconds.max())},
            "advances": delays(bundle, advances, float(seconds.max())),
            "alone_us": hops(bundle, options.device, options.seconds, live=False),
        }
        try:
            report["live_us"] = hops(bundle, options.device, options.seconds, live=True)
        except TooSlowError as error:
            report["live_us"] = str(error)
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(report, indent=1) if options.json else table(bundle, report))
    return 0


def table(bundle: Bundle, report: dict[str, Any]) -> str:
    """All figures for people."""
    spec, window, live = bundle.spec, report["window_s"], report["live_us"]
    lines = [
        environment_line(report["environment"]),
        f"{spec.name} {spec.version}: a window of {spec.window_frames} frames takes "
        f"{1000 * window['p50']:.3g} ms (p50; {1000 * window['max']:.3g} at most), mono",
        "",
        f"{'advance':>8}{'every ms':>10}{'latency ms':>12}{'tight ms':>10}{'core':>7}",
    ]
    for row in report["advances"]:
        head = f"{row['advance']:>8}{row['every_ms']:>10.0f}"
        lines.append(
            f"{head}  takes longer than it lasts"
            if row["core"] is None
            else f"{head}{row['latency_ms']:>12.0f}{row['tight_ms']:>10.0f}{row['core']:>7.0%}"
        )
    lines += ["", f"µs a hop of the audio thread, alone: p50 {report['alone_us']['p50']:.1f}"]
    if isinstance(live, str):
        return "\n".join([*lines, live])
    figures = ", ".join(f"{name} {value:.1f}" for name, value in live.items() if name != "late")
    return "\n".join([*lines, f"beside windows being made: {figures}; late {live['late']} hops"])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soloist.benchmarks.windows", description="What a windowed model costs."
    )
    parser.add_argument("model", help="path of a bundle")
    parser.add_argument("--advances", type=_counts, help="frames, such as 4,8,16")
    parser.add_argument("--device", default="cpu", help="cpu, cuda[:n] or auto")
    parser.add_argument("--runs", type=int, default=10, help="windows that are timed")
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio, played twice")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args(arguments)


def _counts(text: str) -> list[int]:
    if not all(part.isdecimal() and int(part) for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"expected numbers of at least 1, found {text!r}")
    return sorted({int(part) for part in text.split(",")})


if __name__ == "__main__":
    sys.exit(main())
