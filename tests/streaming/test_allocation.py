"""After `prepare` the audio thread makes no arrays: not one that stays, none for a moment.

Hops are so long that any array would be larger than all that Python's own small objects take.
"""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession, Session
from soloist.runtime.spec import Spec
from soloist.streaming.chain import Change
from soloist.streaming.live.levels import LevelMeter
from soloist.streaming.processor import Outputs, Processor

Audio = NDArray[np.float32]

HOP = 4096  # 16 KiB in float32
BLOCK = 5000  # not a multiple of the hop: blocks end anywhere in it
SMALL = 7000  # bytes of Python's own objects within a block: views, numbers, frames of calls
LASTING = 4000  # bytes of it that 20 blocks leave behind: Python keeps spare ones of some kinds

TURNED = [Change(0, "stem1.gain", -6.0), Change(700, "wet", 50.0), Change(4000, "limiter", 1.0)]
BACK = [Change(100, "stem1.gain", 0.0), Change(100, "wet", 100.0), Change(5000, "limiter", 0.0)]


def traced(run: Callable[[int], Any]) -> tuple[int, int]:
    """Bytes that stay after 20 calls of `run`, and the most that one of them had for a moment.

    `run` is given a number that counts up; what Python keeps of first times is not counted.
    """
    for number in range(20):
        run(number)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for number in range(20):
            run(number)
        started, most = tracemalloc.get_traced_memory()[0], 0
        for number in range(20):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            run(number)
            most = max(most, tracemalloc.get_traced_memory()[1] - before)
        return tracemalloc.get_traced_memory()[0] - started, most
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("outputs", ["mix", "stems"])
@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000])
def test_a_block(
    make_spec: Callable[..., Spec],
    noise: Callable[..., Audio],
    channels: int,
    outputs: Outputs,
    rate: int,
) -> None:
    session = PassThroughSession(make_spec(queries=2, n_fft=2 * HOP, hop=HOP), channels=channels)
    processor = Processor(session, outputs=outputs)
    processor.prepare(rate, BLOCK, channels)
    audio = noise(BLOCK, channels)
    out = np.zeros(audio.shape if outputs == "mix" else (3, *audio.shape), np.float32)

    def run(number: int) -> None:
        changes: Sequence[Change] = (TURNED, (), BACK, ())[number % 4]
        processor.process(audio, out, changes)

    stays, most = traced(run)
    # Libsamplerate's binding returns what it made: the hops' samples, and those of the stems.
    hops = -(-BLOCK * 48_000 // rate // HOP)
    returned = 4 * channels * (BLOCK * 48_000 / rate + 2 * hops * HOP * rate / 48_000)
    assert most < SMALL + (returned if rate != 48_000 else 0)
    assert stays < LASTING


def test_bad_samples_and_other_words_on_the_way(
    make_spec: Callable[..., Spec], noise: Callable[..., Audio]
) -> None:
    """What is out of the ordinary is still of the audio thread."""
    spec = make_spec(queries=2, n_fft=2 * HOP, hop=HOP)
    processor = Processor(PassThroughSession(spec, channels=2))
    processor.prepare(48_000, BLOCK, 2)
    fine, out = noise(BLOCK, 2), np.zeros((BLOCK, 2), np.float32)
    spoilt = fine.copy()
    spoilt[7:99] = np.nan
    weights = [np.array([[0.2], [0.3]], np.float32), np.array([[0.4], [0.1]], np.float32)]

    def run(number: int) -> None:
        processor.bypass = number % 5 == 0
        processor.set_conditioning(weights[number % 2])
        processor.process(spoilt if number % 3 == 0 else fine, out)
        if number % 7 == 0:
            processor.reset()

    stays, most = traced(run)
    assert most < SMALL
    assert stays < LASTING
    assert processor.counters.bad_input > 0


@pytest.mark.parametrize("fault", ["numbers", "error"])
def test_a_network_that_fails(
    make_spec: Callable[..., Spec], noise: Callable[..., Audio], fault: str
) -> None:
    """Now and then for so long that its masks expire: found, held, faded, replaced, found again."""

    class Failing(PassThroughSession):
        steps = 0

        def step(self) -> None:
            super().step()
            self.steps += 1
            if self.steps % 9 > 3:
                self.stems[0, 0, 5] = np.nan
                if fault == "error":
                    raise RuntimeError("out of memory, say")

    processor = Processor(Failing(make_spec(queries=2, n_fft=2 * HOP, hop=HOP), channels=2))
    processor.prepare(48_000, BLOCK, 2)
    audio, out = noise(BLOCK, 2), np.zeros((BLOCK, 2), np.float32)
    stays, most = traced(lambda _: processor.process(audio, out))
    assert most < SMALL
    assert stays < LASTING
    assert processor.counters.faults > 30


def test_a_network(toy_bundle: Callable[..., Any], noise: Callable[..., Audio]) -> None:
    bundle = toy_bundle(n_fft=2 * HOP, hop=HOP, queries=2).bundle
    processor = Processor(Session(bundle, channels=2, device="cpu"))
    processor.prepare(48_000, BLOCK, 2)
    audio, out = noise(BLOCK, 2), np.zeros((BLOCK, 2), np.float32)
    stays, most = traced(lambda _: processor.process(audio, out))
    assert most < SMALL
    assert stays < LASTING


def test_trailing_masks(toy_bundle: Callable[..., Any], noise: Callable[..., Audio]) -> None:
    """What the network's own thread allocates for a moment counts here, too."""
    bundle = toy_bundle(n_fft=2 * HOP, hop=HOP, queries=2).bundle
    session = Session(bundle, channels=2, device="cpu")
    processor = Processor(session, trailing=True)
    processor.prepare(48_000, BLOCK, 2)
    audio, out = noise(BLOCK, 2), np.zeros((BLOCK, 2), np.float32)
    stays, most = traced(lambda _: processor.process(audio, out))
    assert most < SMALL
    assert stays < LASTING
    processor.release()


def test_levels(noise: Callable[..., Audio]) -> None:
    meter = LevelMeter(48_000, 2, 2)
    audio = noise(BLOCK, 2)
    stems = np.stack([audio, audio])

    def run(_: int) -> None:
        meter.put_stems(audio, stems)
        meter.put_devices(audio, audio)

    stays, most = traced(run)
    assert most < SMALL
    assert stays < LASTING


STATM = Path("/proc/self/statm")
HOPS = """
import sys
from pathlib import Path
import numpy as np
from soloist.runtime.bundle import Bundle
from soloist.runtime.session import Session
from soloist.streaming.chain import Change
from soloist.streaming.processor import Processor

TURNED = [Change(0, "stem1.gain", -6.0)]
BACK = [Change(100, "stem1.gain", 0.0), Change(100, "wet", 100.0)]
processor = Processor(Session(Bundle.open(sys.argv[1]), channels=2, device="cpu"))
processor.prepare(48_000, 160, 2)
audio = np.random.default_rng(1).normal(0.0, 0.1, (160, 2)).astype(np.float32)
out = np.zeros_like(audio)
resident = []
for number in range(13_001):
    if number >= 3000 and number % 2000 == 1000:
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]))
    processor.process(audio, out, (TURNED, BACK)[number % 2])
print(processor.counters.hops, *resident)
"""


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="the resident memory is read where Linux says it")
def test_a_hundred_thousand_hops(toy_bundle: Callable[..., Any]) -> None:
    """Memory that Python does not see: onnxruntime's, numpy's and libc's.

    In a process that does nothing else: in this one threads of earlier tests come and go. What is
    lost hop by hop grows in each fifth; the allocators take a larger piece once in a while.
    """
    path = toy_bundle(n_fft=64, hop=16, queries=2).path
    program = [sys.executable, "-c", HOPS, str(path)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    hops, *pages = map(int, done.stdout.split())
    assert hops == 130_010
    assert len(pages) == 6
    # Two bytes lost in each of 20,000 hops would be more.
    assert np.median(np.diff(pages)) < 8
