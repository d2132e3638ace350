"""A night in ten minutes: hops by the million, as fast as they go, and whether anything creeps.

    python -m soloist.benchmarks.soak [MODEL] [--hops 2000000] [--json]

The demo's recording over and over at changing levels, silences in between, other words and gains
every few seconds. Memory is looked at and time taken in tenths: what grows from one to the next
would grow all night. In the end a fresh engine gets the last 20 seconds as well. The old one may
differ from it by what its network remembers of the time before, which a few seconds have told too;
once it is reset and plays them again it may not differ at all.
"""

import argparse
import gc
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.queries import conditioning_for
from ..streaming.files import read_audio
from ..streaming.processor import Processor
from .environment import environment, environment_line

Samples = NDArray[np.float32]

TENTHS = 10
LAST_SECONDS = 20
CHANGE_HOPS = 2_000  # between other words and gains: 5 s at 48 kHz
WORDS = ("a dog barking", "speech", "rain", "an acoustic guitar")
_MIXTURE = Path(__file__).parent.parent / "app" / "assets" / "mixture.flac"


@dataclass(frozen=True)
class Tenth:
    """Hops of one tenth in microseconds, and the memory at its end in MB."""

    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    resident_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.soak")
    parser.add_argument("model", nargs="?", default="solo")
    parser.add_argument("--hops", type=int, default=2_000_000)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    report = {"environment": environment(), **soak(Bundle.open(options.model), options.hops)}
    print(json.dumps(report, indent=1) if options.json else table(report))
    return 0


def soak(bundle: Bundle, hops: int) -> dict[str, Any]:
    """Play so many hops, in whole tenths of at least the last seconds; all figures."""
    words = conditioning_for(bundle, WORDS)
    hop, rate = bundle.spec.frames.hop, bundle.spec.sample_rate
    last = LAST_SECONDS * rate // hop
    tenth = max(hops // TENTHS, last)
    old = _prepared(bundle, words)
    blocks = recording(hop)
    took = np.zeros(tenth, np.int64)
    out = np.zeros((hop, 1), np.float32)
    end = np.zeros((last, hop, 1), np.float32)
    tenths, finite, played = [], True, 0
    gc.collect()
    gc.disable()
    try:
        for _ in range(TENTHS):
            for index in range(tenth):
                if played % CHANGE_HOPS == 0:
                    change(old, words, played // CHANGE_HOPS)
                audio = given(blocks, played)
                began = time.perf_counter_ns()
                old.process(audio, out)
                took[index] = time.perf_counter_ns() - began
                end[index % last] = out
                played += 1
            finite = finite and bool(np.isfinite(end).all())
            tenths.append(_tenth(took))
    finally:
        gc.enable()
    start = played - last
    fresh = _again(_prepared(bundle, words), words, blocks, start, last)
    old.reset()
    reset = _again(old, words, blocks, start, last)
    heard = np.roll(end, -(tenth % last), axis=0)
    return {
        "model": bundle.spec.name,
        "hops": played,
        "hours": played * hop / rate / 3600,
        "tenths": [asdict(each) for each in tenths],
        "resident_slope_kb_per_million_hops": slope([each.resident_mb for each in tenths], tenth),
        "last_to_first_p50": tenths[-1].p50_us / tenths[0].p50_us,
        "finite": finite,
        "faults": old.counters.faults,
        "to_a_fresh_engine_db": _error_db(heard[last // 2 :], fresh[last // 2 :]),
        "after_reset_the_same": bool((reset == fresh).all()),
    }


def table(report: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        environment_line(report["environment"]),
        f"{report['model']}: {report['hops']} hops, {report['hours']:.1f} h of audio",
        f"{'tenth':>5}{'p50 µs':>9}{'p99':>9}{'p99.9':>9}{'max':>10}{'resident MB':>13}",
    ]
    for number, each in enumerate(report["tenths"], start=1):
        lines.append(
            f"{number:>5}{each['p50_us']:>9.1f}{each['p99_us']:>9.1f}{each['p999_us']:>9.1f}"
            f"{each['max_us']:>10.1f}{each['resident_mb']:>13.2f}"
        )
    return "\n".join(
        [
            *lines,
            f"memory: {report['resident_slope_kb_per_million_hops']:+.0f} KB per million hops from "
            "the second tenth on",
            f"time: the last tenth's p50 is {report['last_to_first_p50']:.3f} of the first's",
            f"output: {'all finite' if report['finite'] else 'NOT FINITE'}, {report['faults']} "
            f"faults; the last {LAST_SECONDS // 2} s differ from a fresh engine's by "
            f"{report['to_a_fresh_engine_db']:.0f} dB, and after a reset "
            + ("not in one bit" if report["after_reset_the_same"] else "STILL"),
        ]
    )


def recording(hop: int) -> Samples:
    """The demo's, mono, in whole hops (hops, hop, 1)."""
    mixture = read_audio(_MIXTURE).samples[:, :1]
    return mixture[: len(mixture) // hop * hop].reshape(-1, hop, 1)


def _prepared(bundle: Bundle, words: Samples) -> Processor:
    # without a listener: one that joins in later has heard less, and knows other things
    processor = Processor(bundle, device="cpu", conditioning=words[:1], listens=False)
    hop = bundle.spec.frames.hop
    processor.prepare(bundle.spec.sample_rate, hop, 1, block=hop)
    return processor


def _again(processor: Processor, words: Samples, blocks: Samples, start: int, hops: int) -> Samples:
    """What a processor without a past makes of these hops, (hops, hop, 1)."""
    out = np.zeros((hops, blocks.shape[1], 1), np.float32)
    change(processor, words, start // CHANGE_HOPS)
    for index in range(hops):
        if (start + index) % CHANGE_HOPS == 0:
            change(processor, words, (start + index) // CHANGE_HOPS)
        processor.process(given(blocks, start + index), out[index])
    return out


def change(processor: Processor, words: Samples, turn: int) -> None:
    """The settings of one turn, whatever they were before."""
    processor.set_conditioning(words[turn % len(words)][None])
    processor.set("stem1.gain", float(turn % 4))
    processor.set("residual.gain", -20.0 - turn % 3)


def given(blocks: Samples, hop: int) -> Samples:
    """The recording's hop; every fifth time round is silence, others are softer or louder."""
    turn, index = divmod(hop, len(blocks))
    level = np.float32(0.0 if turn % 5 == 4 else 0.5 + turn % 5 / 4)
    audio: Samples = blocks[index] * level
    return audio


def _tenth(took: NDArray[np.int64]) -> Tenth:
    p50, p99, p999 = np.percentile(took, (50, 99, 99.9)) / 1000
    return Tenth(float(p50), float(p99), float(p999), float(took.max()) / 1000, resident_mb())


def resident_mb() -> float:
    """Memory in use now, NaN where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope(resident_mb: Sequence[float], hops: int) -> float:
    """Straight line through the memory from the second tenth on, KB per million hops."""
    found = resident_mb[1:]
    return float(np.polyfit(np.arange(len(found)) * hops / 1e6, found, 1)[0]) * 1000


def _error_db(found: Samples, expected: Samples) -> float:
    error = float(np.sum(np.square(found.astype(float) - expected)))
    energy = float(np.sum(np.square(expected.astype(float))))
    return 10 * math.log10(max(error, 1e-30) / energy)


if __name__ == "__main__":
    raise SystemExit(main())
