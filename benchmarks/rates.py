"""What a host at another rate than the model's pays: delay, exactness and time.

    python -m soloist.benchmarks.rates [--json]

The shipped model's frames around a network that changes nothing, so that stems should be the input.
"""

import argparse
import json
import time
from collections.abc import Sequence

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.session import PassThroughSession
from ..runtime.spec import Spec
from ..streaming.processor import Processor
from .environment import environment, environment_line

RATES = (48_000, 8_000, 16_000, 22_050, 44_100, 96_000, 192_000)
BLOCK = 128
TONES = (1_000, 10_000)  # Hertz
SECONDS = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m soloist.benchmarks.rates")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args(arguments)
    machine, spec = environment(), Bundle.open("solo").spec
    figures = {rate: measure(spec, rate) for rate in RATES}
    if options.json:
        print(json.dumps({"environment": machine, "rates": figures}, indent=1))
        return 0
    print(environment_line(machine))
    print(
        f"{'host, Hz':<9}{'delay, ms':>10}{'any block':>10}{'resampling':>11}{'off, samples':>14}"
        f"{'1 kHz left':>12}{'10 kHz left':>13}{'a core':>8}"
    )
    for rate, figure in figures.items():
        left = [f"{figure[f'{tone} Hz left, dB']:.1f} dB" for tone in TONES if _fits(tone, rate)]
        print(
            f"{rate:<9}{figure['delay, ms']:>10.2f}{figure['delay of any block, ms']:>10.2f}"
            f"{figure['resampling, ms']:>11.2f}{round(figure['off, samples'], 5) + 0.0:>14.5f}"
            f"{left[0]:>12}{left[1] if len(left) > 1 else '-':>13}{figure['core, %']:>6.2f} %"
        )
    return 0


def measure(spec: Spec, rate: int) -> dict[str, float]:
    """The figures of one host rate, by name and unit."""
    processor = Processor(PassThroughSession(spec), outputs="stems")
    processor.prepare(rate, BLOCK, 1)
    figures = {"delay of any block, ms": processor.latency.ms}
    processor.prepare(rate, BLOCK, 1, block=BLOCK)
    latency = processor.latency
    figures["delay, ms"] = latency.ms
    figures["resampling, ms"] = 1000 * dict(latency.parts).get("resampler", 0) / rate
    for tone in TONES:
        if _fits(tone, rate):
            left, off, spent = _play(processor, tone, rate)
            figures[f"{tone} Hz left, dB"] = left
            figures |= {"off, samples": off, "core, %": 100 * spent / SECONDS}
    return figures


def _fits(tone: int, rate: int) -> bool:
    """Whether the resamplers leave it as it is: up to a third of the lower rate."""
    return 3 * tone <= rate


def _play(processor: Processor, tone: int, rate: int) -> tuple[float, float, float]:
    """What is left of a tone when its stem is taken out of it, in dB; by how much the stem comes
    later than it is said to, in samples; the seconds on the core."""
    processor.reset()
    frames = SECONDS * rate // BLOCK * BLOCK
    turns = tone / rate * np.arange(frames)
    audio = np.cos(2 * np.pi * turns).astype(np.float32)[:, None]
    out = np.empty((2, frames, 1), np.float32)
    began = time.process_time()
    for start in range(0, frames, BLOCK):
        piece = slice(start, start + BLOCK)
        processor.process(audio[piece], out[:, piece])
    spent = time.process_time() - began
    inner, delay = slice(rate // 2, frames), processor.latency_samples
    stem, residual = out[:, inner, 0].astype(float)
    left = 10 * np.log10(np.mean(residual**2) / np.mean(stem**2))
    phase = np.angle(np.sum(stem * np.exp(-2j * np.pi * (turns[inner] - tone / rate * delay))))
    return float(left), float(-phase / (2 * np.pi) * rate / tone), spent


if __name__ == "__main__":
    raise SystemExit(main())
