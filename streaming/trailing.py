"""Masks a block old: the network beside the audio thread, which then waits for no network at all.

What is heard of a hop is its own spectrum under the masks of the block before. So no delay is
added, a network may take a whole block's time on a processor of its own, and where it is kept from
running for a moment masks are a hop older, not a block lost.
"""

import contextlib
import time
import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..runtime.denormals import FlushDenormals
from ..runtime.session import HopSession, Trouble
from .guard import HOLD_SECONDS, Guard
from .orders import OrderThread
from .rights import take_realtime

Floats = NDArray[np.float32]

# One is used, one is ready, one is being written.
_BUFFERS = 3
# Hops that may be waiting for the network beside those of a block.
_SPARE = 2


class _Order(NamedTuple):
    """The spectrum of `hop`, of the stream `epoch`, and what is asked for from it on."""

    epoch: int
    hop: int
    conditioning: Floats | None


class _Found(NamedTuple):
    """What the network made of a hop: masks in the buffer, or the trouble that left it without."""

    epoch: int
    hop: int
    buffer: int
    trouble: Trouble | None


class TrailingSession:
    """A session's stems by the masks of the newest hop before the present block.

    To the engine it is a `HopSession` that says what is the matter with its stems, if anything:
    `trouble`, and `behind`, by how many hops the masks that were used are older than they should
    be. At the beginning of each block call `begin_block`; for a block's later hops masks are older
    by these. Before the first block's masks there is silence.

    `session` computes on a thread of its own, hop by hop; nobody else may use it before `close`.
    Where it does not keep up, the oldest of more hops than a block has are left out, as late ones
    are inline.
    With `waits`, which any thread may set, each block waits for its masks; what comes out is what
    a machine gives that keeps up. So it is without `realtime`, where `step` computes by itself.
    `hops` is the largest number of hops in a block.
    """

    delay = 0

    def __init__(self, session: HopSession, *, hops: int, realtime: bool = True) -> None:
        self.spec, self.queries = session.spec, session.queries
        self.state_size, self.provider = session.state_size, session.provider
        self.conditioning = session.conditioning
        self.spectrum: Floats = np.zeros_like(session.spectrum)
        self.mixture = self.spectrum
        self.stems: Floats = np.zeros_like(session.stems)
        self.trouble: Trouble | None = None
        self.behind = 0
        self.waits = False
        self._pairs = _pairs_of(self.spectrum, self.stems)
        self._silence = np.zeros_like(self.stems.view(np.complex64)[..., 0])
        # The audio thread's: the stream, its hop, what was asked for last, and the masks in use.
        self._epoch = self._hop = 0
        self._asked: Floats | None = None
        self._masks = self._silence
        self._of = self._used = -1  # their hop; that of those used before
        self._began = self._last = 0  # at which hop the block did; hops that blocks have of late
        self._hops = hops
        depth = 2 * (hops + _SPARE)
        self._maker = _MaskMaker(session, depth)
        self._thread: _MaskThread | None = None
        if realtime:
            self._thread = _MaskThread(self._maker, depth)
            weakref.finalize(self, self._thread.end)

    @property
    def threaded(self) -> bool:
        """Whether the network has a thread of its own, and `step` waits for nothing."""
        return self._thread is not None

    @property
    def spent_ns(self) -> int:
        """For how long the network has computed so far. Any thread."""
        return 0 if self._thread is None else self._thread.spent_ns

    def begin_block(self) -> None:
        """Take the newest masks for the hops to come. Audio thread; waits where it `waits`."""
        if self.waits and self._thread is not None:
            self._thread.finish()
        newest = self._hop - 1
        # Hosts may cut blocks in pieces: the largest of late counts, and is forgotten by and by.
        hops = self._hop - self._began
        self._last = max(hops, self._last - hops)
        self._began = self._hop
        found = self._maker.take()
        if newest < 0:
            return
        used = found.hop < newest and found.hop <= self._used
        if found.epoch != self._epoch or used or newest - found.hop > self._maker.holds:
            self.trouble, self.behind = "late", 0
            return
        self._masks = self._maker.masks[found.buffer]
        self._of, self.trouble, self.behind = found.hop, found.trouble, newest - found.hop

    def step(self) -> None:
        """Write `stems`, and hand `spectrum` over. Audio thread."""
        self._used = self._of
        if self.trouble is None:
            # Row by row: numpy multiplies arrays of other shapes by way of buffers.
            for (mixture, stems), masks in zip(self._pairs, self._masks, strict=True):
                for stem, mask in zip(stems, masks, strict=True):
                    np.multiply(mask, mixture, out=stem)
        self._hop += 1
        order = _Order(self._epoch, self._hop - 1, self._asked)
        self._maker.put(order, self.spectrum)
        if self._thread is None:
            self._maker.make(order)
            return
        hops = self._hops if self.waits else max(self._last, self._hop - self._began)
        self._thread.backlog = hops + _SPARE
        self._thread.post(order)

    def reset(self) -> None:
        """Forget the stream; queries stay. Audio thread, between steps."""
        self._epoch += 1
        self._hop = self._began = self._last = 0
        self._of = self._used = -1
        self._masks, self.trouble, self.behind = self._silence, None, 0
        self.stems.fill(0.0)

    def set_conditioning(self, conditioning: Floats) -> None:
        """Ask for other queries, [Q, D], in the hops to come. Audio thread, between steps.

        `ValueError` for another shape than that of the present ones.
        """
        present = self.conditioning
        wanted = (self.queries, conditioning.shape[-1] if present is None else present.shape[-1])
        if conditioning.shape != wanted:
            raise ValueError(f"conditioning is {conditioning.shape}, this session takes {wanted}")
        self.conditioning = self._asked = np.array(conditioning, np.float32, order="C")

    def close(self, limit_s: float = 2.0) -> bool:
        """End the thread; whether it has ended within the limit. Control thread, not playing."""
        return self._thread is None or self._thread.close(limit_s)


class _MaskMaker:
    """Runs a session on spectra in the order in which they come, and keeps the newest masks.

    `depth` is for how many hops their spectra are kept.
    """

    def __init__(self, session: HopSession, depth: int) -> None:
        self._session, self._depth = session, depth
        frames = session.spec.frames
        hop_s = frames.hop / session.spec.sample_rate
        self._stems = session.stems.view(np.complex64)[..., 0]
        self._guard = Guard(session.mixture.view(np.complex64)[..., 0], self._stems, hop_s)
        self.holds = round(HOLD_SECONDS / hop_s)  # hops for which masks are not too old
        self._spectra = [np.zeros_like(session.spectrum) for _ in range(depth)]
        self.masks = [np.zeros_like(self._stems) for _ in range(_BUFFERS)]
        self._found, self._taken = _Found(-1, -1, 0, None), 0
        self._epoch = self._hop = -1  # of the step before
        self._conditioning: Floats | None = None

    def put(self, order: _Order, spectrum: Floats) -> None:
        """Lay the spectrum of an order where `make` finds it. Audio thread."""
        np.copyto(self._spectra[order.hop % self._depth], spectrum)

    def take(self) -> _Found:
        """The newest masks, which stay as they are until this is called again. Audio thread."""
        while True:
            found = self._found
            self._taken = found.buffer
            # From here on it is not written to, unless that was begun before.
            if self._found is found:
                return found

    def warm_up(self) -> None:
        """Let the first hop on this thread take no longer than others; raises nothing."""
        with contextlib.suppress(Exception):  # what is broken shows again with the first hop
            self._session.step()
            self._session.reset()

    def make(self, order: _Order) -> None:
        """Make the masks of a hop; raises nothing, trouble is in what `take` gives."""
        kept = self._found.buffer, self._taken
        buffer = next(number for number in range(_BUFFERS) if number not in kept)
        try:
            trouble = self._try(order, self.masks[buffer])
        except Exception:  # whatever a network may raise
            trouble = "error"
        if trouble is not None:
            with contextlib.suppress(Exception):
                self._session.reset()
        self._found = _Found(order.epoch, order.hop, buffer, trouble)

    def _try(self, order: _Order, masks: NDArray[np.complex64]) -> Trouble | None:
        session = self._session
        if order.epoch != self._epoch or order.hop - self._hop > self.holds:
            session.reset()
        self._epoch, self._hop = order.epoch, order.hop
        asked = order.conditioning
        if asked is not None and asked is not self._conditioning:
            self._conditioning = asked
            session.set_conditioning(asked)
        np.copyto(session.spectrum, self._spectra[order.hop % self._depth])
        session.step()
        trouble = self._guard.inspect()
        if trouble is None:
            self._guard.find_masks(masks)
        return trouble


class _MaskThread(OrderThread[_Order]):
    """Makes masks on one thread, which goes before ordinary ones where permitted.

    Of more orders than the `backlog` that wait, the oldest are left out.
    """

    def __init__(self, maker: _MaskMaker, backlog: int) -> None:
        self._maker = maker
        self.backlog = backlog
        self.spent_ns = 0
        super().__init__("soloist-masks")

    def end(self) -> None:
        self.backlog = 0  # what waits is left out
        super().end()

    def _work(self) -> None:
        take_realtime(after_audio=True)
        self._maker.warm_up()
        self._done += 1
        # A broken network must not print warnings.
        with FlushDenormals(), np.errstate(all="ignore"):
            while (order := self._orders.get()) is not None:
                if self._orders.qsize() < self.backlog:
                    began = time.perf_counter_ns()
                    self._maker.make(order)
                    self.spent_ns += time.perf_counter_ns() - began
                self._done += 1


def _pairs_of(
    spectrum: Floats, stems: Floats
) -> list[tuple[NDArray[np.complex64], NDArray[np.complex64]]]:
    """Of each channel the spectrum (bins) and its stems (queries, bins), as complex numbers."""
    return list(
        zip(spectrum.view(np.complex64)[..., 0], stems.view(np.complex64)[..., 0], strict=True)
    )
