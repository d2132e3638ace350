"""Open the peers that are here, let them take turns, print a table; see the package."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import SoloistError
from ...streaming.files import read_audio
from ...streaming.offline import resample
from ..environment import environment, environment_line
from ..hops import play
from ..measuring import quiet
from ..results import Measurement, Run
from ..statistics import Statistics
from . import deepfilternet, denoiser, dtln, gtcrn, rnnoise, waveformer
from .peer import Absent, Peer, Samples
from .solo import open_solo

Durations = NDArray[np.float64]


class Turn(NamedTuple):
    """Microseconds of each block of a turn, by the clock of the wall and by the thread's own."""

    took: Durations
    computed: Durations


class Row(NamedTuple):
    """A peer, what it cost, and the latency that was found in its output, in samples."""

    peer: Peer
    measured: Measurement
    found: int | None


PEERS: dict[str, Callable[[Path | None], Peer]] = {
    "rnnoise": rnnoise.open_peer,
    "deepfilternet": deepfilternet.open_peer,
    "gtcrn": gtcrn.open_peer,
    "dtln": dtln.open_peer,
    "denoiser": denoiser.open_peer,
    "waveformer": waveformer.open_peer,
}
TURN_S = 1.0
WARM_UP = 10  # blocks at the start of a turn that are not counted
_MIXTURE = Path(__file__).parents[2] / "app" / "assets" / "mixture.flac"
# Output that is less like the input than this, by the correlation's peak, tells no lag.
_CLEAR = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model or a folder that cannot be used."""
    options = _parse(arguments)
    try:
        here, absent = gather(options.models, options.only, dict(options.checkout))
        mixture = read_audio(options.audio)
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    mono = mixture.samples[:, :1]
    taken = datetime.now(UTC).isoformat(timespec="seconds")
    machine = environment()
    with _one_core(options.core):
        rows = compare(here, mono, mixture.sample_rate, options.seconds)
    if options.json:
        measured = tuple(row.measured for row in rows)
        run = Run(
            label="peers", taken=taken, environment=machine, measurements=measured, absent=absent
        )
        print(json.dumps(asdict(run), indent=1))
    else:
        print(environment_line(machine))
        print(table(rows))
        for name, reason in absent.items():
            print(f"not here: {name}: {reason}")
    return 0


def gather(
    models: Sequence[str], only: Sequence[str], checkouts: dict[str, Path]
) -> tuple[list[Peer], dict[str, str]]:
    """The peers that are here, Soloist's models before them, and what is missing of the others."""
    here, absent = [open_solo(model) for model in models], {}
    for name in only:
        folder = checkouts.get(name) or os.environ.get(f"SOLOIST_PEER_{name.upper()}")
        try:
            here.append(PEERS[name](Path(folder) if folder else None))
        except Absent as missing:
            absent[name] = str(missing)
    return here, absent


def compare(peers: Sequence[Peer], audio: Samples, rate: int, seconds: float) -> list[Row]:
    """What every peer costs over so many seconds each way, in turns of `TURN_S`.

    `audio` is (frames, 1) at `rate` Hertz, and repeated.
    """
    inputs = [blocks_of(peer, audio, rate) for peer in peers]
    lags = [found_latency(peer, blocks) for peer, blocks in zip(peers, inputs, strict=True)]
    taken: dict[bool, list[list[Turn]]] = {way: [[] for _ in peers] for way in (False, True)}
    with quiet():
        for turn in range(max(1, round(seconds / TURN_S))):
            for paced, turns in taken.items():
                for number in range(len(peers)):
                    which = (number + turn) % len(peers)  # none is always behind the same one
                    if paced and not keeps_up(peers[which], taken[False][which]):
                        continue
                    turns[which].append(play_turn(peers[which], inputs[which], paced=paced))
    return [
        Row(peer, measurement(peer, taken[False][number], taken[True][number]), lags[number])
        for number, peer in enumerate(peers)
    ]


def blocks_of(peer: Peer, audio: Samples, rate: int) -> Samples:
    """The recording as the peer takes it, [blocks, block], at least a turn of it."""
    frames = len(audio) * peer.sample_rate // rate
    heard = resample(audio, rate, peer.sample_rate, frames)[:, 0]
    least = round(TURN_S * peer.sample_rate) + (1 + WARM_UP) * peer.block
    heard = np.tile(heard, -(-least // len(heard)))
    whole = len(heard) // peer.block
    return np.ascontiguousarray(heard[: whole * peer.block].reshape(whole, peer.block))


def play_turn(peer: Peer, blocks: Samples, *, paced: bool) -> Turn:
    """A turn; `paced`: each block when it is due."""
    lasts = peer.block / peer.sample_rate
    count = WARM_UP + max(1, round(TURN_S / lasts))
    computed, process = np.zeros(count), peer.process

    def work(number: int) -> None:
        began = time.thread_time_ns()
        process(blocks[number % len(blocks)])
        computed[number] = time.thread_time_ns() - began

    stamps = play(work, count, lasts, paced=paced)
    took = stamps[:, 2] - stamps[:, 1]
    counted = slice(min(WARM_UP, len(took) - 1), len(took))  # late blocks are lost: one is left
    return Turn(took[counted] / 1e3, computed[counted] / 1e3)


def keeps_up(peer: Peer, turns: Sequence[Turn]) -> bool:
    """Whether a block takes less than it lasts, most of the time: else it cannot be played live."""
    computed = np.concatenate([turn.computed for turn in turns])
    return float(np.median(computed)) < 1e6 * peer.block / peer.sample_rate


def found_latency(peer: Peer, blocks: Samples) -> int | None:
    """The block and the lag of the output behind the input, in samples; None if it is not clear."""
    given = blocks.reshape(-1)
    out = np.concatenate([peer.process(block) for block in blocks])
    size = 2 * len(given)
    correlation = np.fft.irfft(np.conj(np.fft.rfft(given, size)) * np.fft.rfft(out, size), size)
    energy = float(np.linalg.norm(given) * np.linalg.norm(out))
    lag = int(np.argmax(correlation[: peer.sample_rate]))
    return peer.block + lag if correlation[lag] > _CLEAR * max(energy, 1e-9) else None


def measurement(peer: Peer, warm: Sequence[Turn], paced: Sequence[Turn]) -> Measurement:
    """What turns of a peer amount to, back to back and paced; there may be none of these."""
    lasts_us = 1e6 * peer.block / peer.sample_rate
    found: dict[str, Statistics] = {}
    parts: dict[str, dict[str, float]] = {}
    share = None
    for way, turns in (("back to back", warm), ("paced", paced)):
        if not turns:
            continue
        took = np.concatenate([turn.took for turn in turns])
        core = np.concatenate([turn.computed for turn in turns])
        found[way] = Statistics.of(took, lasts_us)
        parts[way] = {
            "computing": float(np.median(core)),
            "interrupted": float(np.median(took - core)),
        }
        share = float(core.mean()) / lasts_us
    return Measurement(
        name=peer.name,
        setting={"weights": peer.weights},
        provider="cpu",
        sample_rate=peer.sample_rate,
        block=peer.block,
        latency={"block": peer.block, "algorithm": peer.latency - peer.block},
        back_to_back=found["back to back"],
        paced=found.get("paced"),
        parts_us=parts,
        cpu_share=share,
    )


def table(rows: Sequence[Row]) -> str:
    """Rows for people; times in ms."""
    lines = [
        f"{'':<16}{'does':<26}{'weights':<9}{'way':<14}{'Hz':>6}{'block':>8}{'latency':>9}"
        f"{'found':>7}{'core':>9}{'RTF':>8}{'p50':>9}{'p99':>9}{'max':>9}{'late':>6}{'of':>7}"
    ]
    for way in ("back to back", "paced"):
        for peer, measured, found in rows:
            statistics = measured.back_to_back if way == "back to back" else measured.paced
            if statistics is None or measured.parts_us is None:
                lines.append(f"{peer.name:<16}{peer.does:<26}{peer.weights:<9}{way:<14}too slow")
                continue
            core, lasts = measured.parts_us[way]["computing"] / 1000, peer.block / peer.sample_rate
            times = [statistics.percentiles_us[name] for name in ("p50", "p99")]
            shown = "-" if found is None else f"{1000 * found / peer.sample_rate:.1f}"
            lines.append(
                f"{peer.name:<16}{peer.does:<26}{peer.weights:<9}{way:<14}{peer.sample_rate:>6}"
                f"{1000 * lasts:>8.2f}{measured.latency_ms:>9.2f}{shown:>7}"
                f"{core:>9.3f}{core / (1000 * lasts):>8.3f}"
                + "".join(f"{'-' if us is None else format(us / 1000, '.2f'):>9}" for us in times)
                + f"{statistics.max_us / 1000:>9.2f}{statistics.misses:>6}{statistics.n:>7}"
            )
    return "\n".join(lines)


@contextmanager
def _one_core(core: int) -> Iterator[None]:
    """This thread on one core, where the system lets it choose."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soloist.benchmarks.peers", description="Peers on the same work in one run."
    )
    parser.add_argument(
        "--checkout",
        action="append",
        default=[],
        type=_checkout,
        metavar="NAME=DIR",
        help="where a peer's files are; may be given for several",
    )
    parser.add_argument("--only", default=tuple(PEERS), type=_names, help="such as rnnoise,dtln")
    parser.add_argument("--models", default=("solo",), type=lambda text: text.split(","))
    parser.add_argument("--audio", default=_MIXTURE, type=Path, help="else the bundled recording")
    parser.add_argument("--seconds", type=float, default=20.0, help="of audio for each, each way")
    parser.add_argument("--core", type=int, default=0, help="where all of them compute")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"no peer {name!r}; there are {', '.join(PEERS)}")
    return names


def _checkout(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if name not in PEERS or not Path(folder).is_dir() or not folder:
        raise argparse.ArgumentTypeError(
            f"expected NAME=DIR, a peer of {', '.join(PEERS)} and a folder, found {text!r}"
        )
    return name, Path(folder)


if __name__ == "__main__":
    sys.exit(main())
