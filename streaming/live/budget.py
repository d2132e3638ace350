"""The delay from a sound to the same sound separated: what is computed and what drivers claim."""

from __future__ import annotations

from dataclasses import dataclass

from ..latency import Latency

# Longer is no latency but PortAudio's mishap: it reports 4294967168 frames (uint32 of -128) where
# the other end of a JACK or PipeWire port is a program instead of hardware.
_ABSURD_LATENCY_S = 10.0


@dataclass(frozen=True)
class LatencyBudget:
    """Where the delay of blocks played in real time comes from.

    `processing` is the processor's, from a block handed in to a block handed out; `block` the
    frames of a block, which must all be there before it is handed in, 0 where the driver's share
    has them. The driver's share is in
    frames as it reports them, None where it reports nothing believable. `bridge` is the way from
    the input's clock to another one of the output, with the block collected, where there are two.
    """

    processing: Latency
    block: int
    driver_input: int | None = None
    driver_output: int | None = None
    bridge: Latency | None = None

    @property
    def whole(self) -> Latency:
        """All parts that are known, in the order in which a sound meets them."""
        collected = (("block collected", self.block),) if self.block else ()
        whole = self.bridge or Latency(self.processing.sample_rate, collected)
        for name, samples in self.processing.parts:
            whole = whole.plus(name, samples)
        for name, frames in (("driver in", self.driver_input), ("driver out", self.driver_output)):
            if frames is not None:
                whole = whole.plus(name, frames)
        return whole

    def __str__(self) -> str:
        whole = self.whole
        return f"{whole} = " + " + ".join(f"{name} {samples}" for name, samples in whole.parts)


def believable_frames(seconds: float, sample_rate: float) -> int | None:
    """A latency as PortAudio reports it, in frames, or None where it cannot be true."""
    if not 0.0 <= seconds <= _ABSURD_LATENCY_S:
        return None
    return round(seconds * sample_rate)
