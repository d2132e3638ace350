"""How late a model is heard in live play, second by second, against what it promises.

    python -m soloist.benchmarks.live_delay MODEL [--advances 0.5,1] [--seconds 30] [--wait]

Needs a JACK server with its dummy driver, JACK-Client, and the name of the server in
JACK_DEFAULT_SERVER. Noise goes through `soloist live`'s own process, from a client of JACK's to
another; what comes out, the first stem, is laid over the noise by cross-correlation, each second by
itself, on the server's clock, so that cycles which JACK loses do not count as delay. A delay that
grew would show in the last second. Late hops are those whose window had not come in time; with
`--wait` JACK waits for windows, and none is late. Where a window takes longer than the advance that
was asked for, windows are farther apart: the table has both.
"""

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from typing import Any

import jack
import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import DeviceError, SoloistError
from ..streaming.live.plan import LivePlan
from ..streaming.live.process import LiveProcess
from .environment import environment, environment_line

Samples = NDArray[np.float32]

SOURCE, SINK = "soloist-source", "soloist-sink"
LEAD_S = 1.0  # of silence, until all is connected
LEVEL = 0.1


class Loop:
    """Plays noise into JACK and keeps what comes back, sample for sample on JACK's clock.

    So many `seconds` of noise, after `lead_s` of silence. Raises `DeviceError` where there is no
    server.
    """

    def __init__(self, seconds: float, lead_s: float = LEAD_S) -> None:
        self._lead_s = lead_s
        try:
            self._source = jack.Client(SOURCE, no_start_server=True)
            self._sink = jack.Client(SINK, no_start_server=True)
        except jack.JackOpenError as error:
            raise DeviceError(f"no JACK server answers ({error}); start one") from error
        self.rate = int(self._source.samplerate)
        noise = np.random.default_rng(0).standard_normal(round(seconds * self.rate))
        self.played = (LEVEL * noise).astype(np.float32)
        self.heard = np.zeros_like(self.played)
        self._start: int | None = None
        self._done = threading.Event()
        self._out = self._source.outports.register("out_1")
        self._in = self._sink.inports.register("in_1")
        self._source.set_process_callback(self._play)
        self._sink.set_process_callback(self._keep)

    def __enter__(self) -> "Loop":
        self._source.activate()
        self._sink.activate()
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self._source, self._sink):
            client.deactivate()
            client.close()

    def run(self) -> None:
        """From the first sample to the last, however long the server takes for them."""
        lead = round(self._lead_s * self.rate)
        self._start = self._source.frame_time + lead
        if not self._done.wait(60 + 10 * (lead + len(self.played)) / self.rate):
            raise DeviceError("the JACK server stands still")

    def _play(self, frames: int) -> None:
        self._move(self._source, self._out.get_array(), self.played, frames, True)

    def _keep(self, frames: int) -> None:
        self._move(self._sink, self._in.get_array(), self.heard, frames, False)

    def _move(self, client: Any, port: Samples, store: Samples, frames: int, out: bool) -> None:
        if out:
            port[:] = 0
        if self._start is None:
            return
        position = client.last_frame_time - self._start
        first, last = max(position, 0), min(position + frames, len(store))
        if first < last:
            inside = port[first - position : last - position]
            if out:
                inside[:] = store[first:last]
            else:
                store[first:last] = inside
        elif position >= len(store):
            self._done.set()


def delays(played: Samples, heard: Samples, rate: int, most: int) -> NDArray[np.int64]:
    """By how many samples each second of what was heard is later than what was played.

    Args:
        played, heard: ``(samples,)``, on one clock.
        rate: samples of a second.
        most: the longest delay that is looked for; the first seconds, which it reaches, have none.
    """
    size = 1 << (rate + most - 1).bit_length()
    found = []
    for start in range(-(-most // rate) * rate, len(heard) - rate + 1, rate):
        reached = np.fft.rfft(played[start - most : start + rate], size)
        second = np.fft.rfft(heard[start : start + rate], size)
        match = np.fft.irfft(reached * second.conj(), size)[: most + 1]
        found.append(most - int(np.abs(match).argmax()))
    return np.array(found)


def measure(model: str, advance: float | None, seconds: float, wait: bool) -> dict[str, Any]:
    """Plays a model and says how late it was; figures in samples of the server's rate."""
    spec = Bundle.open(model).spec
    hop_s = spec.frames.hop / spec.sample_rate
    plan = LivePlan(
        model,
        device="cpu",
        input_device=SOURCE,
        output_device=SINK,
        channels=1,
        wait=wait,
        advance=None if advance is None else round(advance / hop_s),
    )
    with Loop(seconds) as loop, LiveProcess() as process:
        latency = process.start(plan).latency
        assert latency is not None
        promised = latency.processing.total
        played = dict(latency.processing.parts).get("advance", 0)
        loop.run()
        report = process.stop()
        assert report.meters is not None
        assert report.counters is not None
        found = delays(loop.played, loop.heard, loop.rate, 2 * promised)
    return {
        "model": spec.name,
        "asked_s": advance,
        "advance": played,
        "rate": loop.rate,
        "promised": promised,
        "first": int(found[0]),
        "last": int(found[-1]),
        "least": int(found.min()),
        "most": int(found.max()),
        "hops": report.counters.hops,
        "late": report.counters.late,
        "xruns": report.meters.xruns,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code, 2 for a model or a server that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.live_delay")
    parser.add_argument("model", help="a bundle, or a shipped model")
    parser.add_argument("--advances", type=_seconds, default=[None], help="s, as 0.5,1")
    parser.add_argument("--seconds", type=float, default=30.0, help="of noise for each")
    parser.add_argument("--wait", action="store_true", help="hold JACK up until windows come")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine = environment()
    try:
        rows = [
            measure(options.model, each, options.seconds, options.wait) for each in options.advances
        ]
    except SoloistError as error:
        print(f"soloist: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps({"environment": machine, "rows": rows}, indent=1))
        return 0
    print(environment_line(machine), end="\n\n")
    titles = "model, asked, advance, promised, 1st second, last, least, most, late hops, xruns"
    print(f"| {titles.replace(', ', ' | ')} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        keys = ("advance", "promised", "first", "last", "least", "most")
        times = " | ".join(f"{1000 * row[key] / row['rate']:.2f} ms" for key in keys)
        asked = "nothing" if row["asked_s"] is None else f"{1000 * row['asked_s']:.0f} ms"
        late = f"{row['late']} of {row['hops']}"
        print(f"| {row['model']} | {asked} | {times} | {late} | {row['xruns']} |")
    return 0


def _seconds(text: str) -> list[float | None]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
