"""Offline separators in a stream: a session whose network sees blocks and is never waited for."""

import math
import weakref
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.network import MaskNetwork
from ..runtime.session import Trouble
from .blocks import BlockTransform, History
from .pace import Budget, measure, paced
from .windows import Clock, Order, Slot, WindowMaker, WindowThread

Floats = NDArray[np.float32]
Pace = Literal["live", "wait"]

# A window that did not come leaves a gap of an advance, over which the masks before it last. What
# is older than half a second has too little to do with what sounds now.
_HOLD_SECONDS = (0.1, 0.5)


class WindowedSession:
    """A windowed bundle, hop by hop: the stems of `delay` hops ago, by masks that came in time.

    To the engine it is a `BlockSession`: for each hop hand its samples to `hear`, write `spectrum`
    [B, F, 2], call `step`, read `stems` [B, Q, F, 2] and `mixture` [B, F, 2], the spectrum that
    they belong to. The network gets blocks that are cut from the samples themselves, framed and
    padded as in its training.

    `advance` and `lookahead` are frames, as in `Spec.schedule`. At "live" `pace` the network runs
    on a thread of its own: here it is measured, and where it takes longer than an advance the
    advance is made as long as it takes (`schedule` says what it became). A `budget` "measured"
    waits for the network only as long as it took, instead of one whole advance. At the pace "wait"
    each window is made in the step that completes its block, however long that takes; what comes
    out is the same as live on a machine that keeps up. `waits` does so at "live" pace, for as long
    as it is set; any thread may.

    A window that is not there in time is never waited for, nor used later, so the delay is what it
    was. Meanwhile `trouble` is set, `stems` are as before, and the engine holds the last masks for
    `hold_seconds`: one advance, but at least 0.1 s and at most 0.5 s. A network that gives no
    numbers, or raises an exception, counts as a window that did not come.

    Raises as `MaskNetwork` and `Spec.schedule` do, and `TooSlowError` where no advance is long
    enough.
    """

    state_size = 0

    def __init__(
        self,
        bundle: Bundle,
        *,
        channels: int = 1,
        device: str = "auto",
        threads: int = 1,
        conditioning: Floats | None = None,
        advance: int | None = None,
        lookahead: int | None = None,
        budget: Budget = "advance",
        pace: Pace = "live",
    ) -> None:
        if pace not in get_args(Pace) or budget not in get_args(Budget):
            raise ValueError(f"found pace {pace!r} and budget {budget!r}")
        self.spec = spec = bundle.spec
        self.schedule = spec.schedule(advance=advance, lookahead=lookahead)
        network = self._network = MaskNetwork(
            bundle, channels=channels, device=device, threads=threads, conditioning=conditioning
        )
        self.queries, self.provider = network.queries, network.provider
        self.conditioning = None if conditioning is None else np.array(conditioning, np.float32)
        size = spec.window_samples or 0
        transform = BlockTransform(spec.frames, size, spec.fill or "zeros", network.spectrogram)
        if pace == "live":
            seconds = self._measure(transform)
            self.schedule = paced(self.schedule, seconds, spec.sample_rate, budget)
        schedule = self.schedule
        self.delay = schedule.delay

        bins = spec.frames.bins
        self.spectrum: Floats = np.zeros((channels, bins, 2), np.float32)
        self.mixture: Floats = np.zeros_like(self.spectrum)
        self.stems: Floats = np.zeros((channels, self.queries, bins, 2), np.float32)
        self._clock = Clock()
        self._history = self._make_history(channels)
        slots = Slot(schedule.advance, self.stems), Slot(schedule.advance, self.stems)
        self._maker = WindowMaker(network, schedule, transform, self._history, slots)
        self.waits = False
        self._thread: WindowThread | None = None
        if pace == "live":
            self._thread = WindowThread(self._maker, self._clock, schedule.compute)
            weakref.finalize(self, self._thread.end)

        self._spectra = [np.zeros_like(self.spectrum) for _ in range(self.delay + 1)]
        self._slots = slots
        self._masks = [[self._factor(masks) for masks in slot.masks] for slot in slots]
        # Once for each query: numpy would multiply one for all by way of buffers that it allocates.
        self._mixtures: Floats = np.zeros_like(self.stems)
        self._factors = self._factor(self._mixtures), self._factor(self.stems)
        self.trouble: Trouble | None = None

    @property
    def latency(self) -> tuple[tuple[str, int], ...]:
        """Named parts, in samples, of the delay from an input hop to its stems."""
        return self.schedule.parts

    @property
    def hold_seconds(self) -> float:
        """For how long the last masks may stand in for those that did not come."""
        shortest, longest = _HOLD_SECONDS
        gap = self.schedule.advance * self.spec.frames.hop / self.spec.sample_rate
        return min(max(gap, shortest), longest)

    def hear(self, samples: Floats) -> None:
        """Take a hop of audio, [B, hop], before the `step` with its spectrum. Audio thread."""
        self._history.write(samples)

    def step(self) -> None:
        """Advance one hop: write `mixture` and `stems`, and launch a window where one is due.

        Audio thread. At "live" pace it waits for nothing and allocates nothing of its own but an
        order, once an advance.
        """
        clock, schedule = self._clock, self.schedule
        hop, spectra = clock.hop, self._spectra
        np.copyto(spectra[hop % len(spectra)], self.spectrum)
        frame = hop - self.delay
        if frame >= 0:
            np.copyto(self.mixture, spectra[frame % len(spectra)])
            np.copyto(self._mixtures, self.mixture[:, None])
            number, at = divmod(frame, schedule.advance)
            if at == 0:
                self.trouble = self._find(number)
            if self.trouble is None:
                mixtures, stems = self._factors
                np.multiply(self._masks[number % 2][at], mixtures, out=stems)
        number, rest = divmod(hop - schedule.first_launch, schedule.advance)
        if number >= 0 and rest == 0:
            # After the masks were looked for: from now on the older slot may be written again.
            self._launch(Order(clock.epoch, number, hop, self.conditioning))
        clock.hop = hop + 1

    def reset(self) -> None:
        """Forget the stream; queries stay. Audio thread, between steps.

        A window that is being made is of the stream before and will not be used.
        """
        self._clock.epoch += 1
        self._clock.hop = 0
        self._history.clear()
        self.trouble = None
        self.mixture.fill(0.0)
        self.stems.fill(0.0)

    def set_conditioning(self, conditioning: Floats) -> None:
        """Ask for other queries, [Q, D], in the windows to come. Audio thread, between steps.

        They are heard after `delay` hops at most, and the cross-fade between windows is the fade
        between them. `ValueError` for another shape, or where the queries are folded in.
        """
        self._network.check(conditioning)
        self.conditioning = np.array(conditioning, np.float32, order="C")

    def close(self, limit_s: float = 2.0) -> bool:
        """End the thread, waiting for its window as long as the limit; whether it has ended.

        Control thread; afterwards no window comes any more.
        """
        return self._thread is None or self._thread.close(limit_s)

    def _measure(self, transform: BlockTransform) -> float:
        frames, channels = self.schedule.frames, len(transform.spectrogram)
        silence = History(channels, frames.hop, self.schedule.window_frames + 1)

        def window() -> None:
            transform.transform(silence, 0)
            self._network(self.conditioning)

        return measure(window)

    def _make_history(self, channels: int) -> History:
        """As long as a block, and what may be written until its copy has been made."""
        schedule, hop = self.schedule, self.spec.frames.hop
        block = math.ceil((hop - schedule.block_start(0)) / hop)
        return History(channels, hop, block + schedule.compute + 2)

    def _factor(self, array: Floats) -> NDArray[Any]:
        """Masks, or what they multiply, as the numbers that the product takes."""
        return array if self._network.parts == 1 else array.view(np.complex64)[..., 0]

    def _find(self, number: int) -> Trouble | None:
        """What is the matter with a window that is due now."""
        if self.waits and self._thread is not None:
            self._thread.finish()
        result = self._slots[number % 2].result
        if (result.epoch, result.number) != (self._clock.epoch, number):
            return "late"
        return result.trouble

    def _launch(self, order: Order) -> None:
        if self._thread is None:
            self._maker.make(order)
        elif self.waits:  # the step makes it, once the thread is done with the one before
            self._thread.finish()
            self._maker.make(order)
        else:
            self._thread.post(order)
