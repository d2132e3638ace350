"""What live play of a published separator loses against its own whole-file inference, and costs.

    python -m soloist.benchmarks.against_offline CHECKPOINT RECORDING MODEL [MODEL ...]
        -q WORDS | --query-embedding FILE  [--negative WORDS]
        [--advances 0.5,1,2] [--lookaheads 0,0.5] [--skip 10] [--json]

The models are bundles of that checkpoint and those queries with different windows or precisions.
For each, and each advance and look-ahead that it can have: how late the sound is with one whole
advance for a window; how long a window takes, the least of several runs, on one thread by the clock
of the process and on two by that of the wall, which other programs lengthen; the share of one core
that is (RTF); and how close to the whole-file inference it comes, as the energy of that over the
energy of the difference, in dB (SDR), from `skip` seconds on. The recording is repeated to twice as
long as that.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..export.asked import Asked
from ..export.systems import open_whole
from ..runtime.bundle import Bundle
from ..runtime.errors import BundleError, SoloistError
from ..runtime.network import MaskNetwork
from ..streaming.files import read_audio
from ..streaming.offline import resample, separate_array
from ..streaming.processor import Processor
from .environment import environment, environment_line

Samples = NDArray[np.float32]

HEAD = "model, window, of, advance, look-ahead, latency, 1 thread, 2 threads, RTF, SDR"


def sdr_db(expected: Samples, found: Samples) -> float:
    """Energy of what is expected over that of the difference, dB; at most 200."""
    error = float(np.square(found.astype(float) - expected).sum())
    energy = float(np.square(expected, dtype=float).sum())
    return float(10 * np.log10(energy / max(error, 1e-20 * energy)))


def seconds(bundle: Bundle, threads: int, runs: int) -> float:
    """Of one run of the network on one block of noise, the least of so many after a first one."""
    network = MaskNetwork(bundle, device="cpu", threads=threads)
    np.random.default_rng(0).standard_normal(dtype=np.float32, out=network.spectrogram)
    network()
    clock = time.process_time if threads == 1 else time.perf_counter
    taken = []
    for _ in range(runs):
        began = clock()
        network()
        taken.append(clock() - began)
    return min(taken)


def measure(
    bundle: Bundle, audio: Samples, expected: Samples, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A row for each advance and look-ahead that the bundle can have; figures in seconds and dB."""
    spec = bundle.spec
    hop_s = spec.frames.hop / spec.sample_rate
    took = [seconds(bundle, threads, options.runs) for threads in (1, 2)]
    skip = round(options.skip * spec.sample_rate)
    for lookahead in options.lookaheads:
        for advance in options.advances:
            frames = {"advance": round(advance / hop_s), "lookahead": round(lookahead / hop_s)}
            try:
                plan = spec.schedule(**frames)
            except BundleError:
                continue
            processor = Processor(bundle, outputs="stems", device="cpu", **frames)
            stems = separate_array(processor, audio[:, None], spec.sample_rate)[:-1, :, 0]
            yield {
                "model": bundle.path.name,
                "window_s": (spec.window_samples or 0) / spec.sample_rate,
                "precision": spec.precision,
                "advance_s": frames["advance"] * hop_s,
                "lookahead_s": frames["lookahead"] * hop_s,
                "latency_s": plan.latency_samples / spec.sample_rate,
                "one_thread_s": took[0],
                "two_threads_s": took[1],
                "rtf": took[0] / (frames["advance"] * hop_s),
                "sdr_db": sdr_db(expected[:, skip:], stems[:, skip:]),
            }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for what cannot be used."""
    options = _parse(arguments)
    try:
        files = {file.stem: file for file in options.query_embedding}
        asked = Asked(tuple(options.query), files, negatives=tuple(options.negative))
        whole = open_whole(options.checkpoint, asked, None)
        bundles = [Bundle.open(model) for model in options.models]
        audio = _recording(options.recording, whole.sample_rate, 2 * options.skip)
        expected = whole.separate(audio[:, None], linked=False)[..., 0]
        rows = [row for bundle in bundles for row in measure(bundle, audio, expected, options)]
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    report = {"environment": environment(), "rows": rows}
    print(json.dumps(report, indent=1) if options.json else table(report))
    return 0


def table(report: dict[str, Any]) -> str:
    """All figures as a table in Markdown."""
    titles = HEAD.split(", ")
    lines = [environment_line(report["environment"]), ""]
    lines += [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row in report["rows"]:
        cells = [row["model"], f"{row['window_s']:.2f} s", row["precision"]]
        cells += [f"{1000 * row[key]:.0f} ms" for key in ("advance_s", "lookahead_s", "latency_s")]
        cells += [f"{row[key]:.3f} s" for key in ("one_thread_s", "two_threads_s")]
        lines.append(f"| {' | '.join(cells)} | {row['rtf']:.2f} | {row['sdr_db']:.1f} dB |")
    return "\n".join(lines)


def _recording(path: Path, rate: int, duration: float) -> Samples:
    """One channel of it at that rate, repeated or cut to that many seconds."""
    recording = read_audio(path)
    audio, found = recording.samples[:, :1], recording.sample_rate
    if found != rate:
        audio = resample(audio, found, rate, len(audio) * rate // found)
    return np.resize(audio[:, 0], round(duration * rate))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soloist.benchmarks.against_offline",
        description="Live play against whole-file inference.",
    )
    parser.add_argument("checkpoint", type=Path, help="of a published system")
    parser.add_argument("recording", type=Path, help="any audio file")
    parser.add_argument("models", nargs="+", help="bundles of the checkpoint")
    parser.add_argument("-q", "--query", action="append", default=[])
    parser.add_argument("--query-embedding", action="append", type=Path, default=[])
    parser.add_argument("--negative", action="append", default=[])
    parser.add_argument("--advances", type=_seconds, default=[0.5, 1.0], help="s, as 0.5,1")
    parser.add_argument("--lookaheads", type=_seconds, default=[0.0], help="s, as 0,0.5")
    parser.add_argument("--skip", type=float, default=10.0, help="s, until windows are full")
    parser.add_argument("--runs", type=int, default=5, help="windows that are timed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args(arguments)


def _seconds(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
