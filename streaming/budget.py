"""The delay of a live stream: what is computed, beside what the driver claims."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .latency import Latency

# Longer is no latency but PortAudio's mishap: it reports 4294967168 frames (uint32 of -128) where
# the other end of a JACK or PipeWire port is a program instead of hardware.
_ABSURD_LATENCY_S = 10.0


@dataclass(frozen=True)
class LatencyBudget:
    """Where a live stream's delay comes from."""

    processing: Latency
    driver_input: int | None  # frames as the driver reports them; None: nothing believable
    driver_output: int | None

    def __str__(self) -> str:
        parts = " + ".join(f"{name} {samples}" for name, samples in self.processing.parts)
        driver_in, driver_out = map(self._reported, (self.driver_input, self.driver_output))
        return f"{self.processing} = {parts}; the driver reports in {driver_in}, out {driver_out}"

    def _reported(self, frames: int | None) -> str:
        return "unknown" if frames is None else str(replace(self.processing, parts=(("", frames),)))


def believable_frames(seconds: float, sample_rate: float) -> int | None:
    """A latency as PortAudio reports it, in frames, or None where it cannot be true."""
    if not 0.0 <= seconds <= _ABSURD_LATENCY_S:
        return None
    return round(seconds * sample_rate)
