"""One hop through the network: window, transform, session, inverse transform, overlap-add."""

import contextlib
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..runtime.session import BlockSession, HopSession, Trouble
from .counters import Counters
from .glide import Glide
from .guard import HOLD_SECONDS, Guard
from .linking import LinkedMasks
from .listening import Listening
from .stft import StreamingISTFT, StreamingSTFT
from .trailing import TrailingSession

Samples = NDArray[np.float32]

# Other words take over along a straight line of this length.
GLIDE_SECONDS = 0.020


class Engine:
    """Takes a hop of input, gives the stems of an earlier one, `latency` samples before it.

    A hop: write the input to `newest` (channels, hop), finite samples; call `step`; read `out`
    (stems, channels, hop). The session's last `negatives` queries take part in the network only.
    `linked` gives all channels the same masks. `listening` hears the input and says what to ask
    for.

    Where the network fails (no numbers, absurd levels, an exception, too late) `out` is what the
    last good masks make of the input. After `guard.HOLD_SECONDS`, or as long as the session says
    that its masks last, all of the input goes to the stem of the
    number that `refuge` gives; there is none of the number of stems, so it is residual then.
    """

    def __init__(
        self,
        session: HopSession,
        counters: Counters,
        refuge: Callable[[], int],
        *,
        negatives: int = 0,
        linked: bool = False,
        listening: Listening | None = None,
    ) -> None:
        spec = session.spec
        frames = spec.frames
        channels, queries = session.stems.shape[:2]
        stems = queries - negatives
        self.sample_rate = spec.sample_rate
        self.hop = frames.hop
        self.deadline_ns = 0  # of `time.perf_counter_ns`; 0: none, the network always runs
        self._frames = frames
        self._session = session
        self._blocks = session if isinstance(session, BlockSession) else None
        self._trailing = session if isinstance(session, TrailingSession) else None
        self._beside = self._blocks or self._trailing
        # What computes on a thread of its own is never left out.
        self._leaves_out = self._beside is None or (
            self._trailing is not None and not self._trailing.threaded
        )
        self._counters = counters
        self._refuge = refuge
        self._spectrum = session.spectrum.view(np.complex64)[..., 0]
        self._stft = StreamingSTFT(frames, channels)
        self._istft = StreamingISTFT(frames, channels * stems)
        self._mixture = session.mixture.view(np.complex64)[..., 0]
        self._found = session.stems.view(np.complex64)[..., 0]
        # What is heard, (channels, stems, bins): the session's own array where there is no more.
        self._chosen = self._found if stems == queries else np.zeros_like(self._found[:, :stems])
        self._rows = self._chosen.reshape(channels * stems, frames.bins)
        self._frame = np.zeros((channels * stems, frames.hop), np.float32)
        self.out = self._frame.reshape(channels, stems, frames.hop).swapaxes(0, 1)
        self._linked = LinkedMasks(channels, queries, frames.bins) if linked else None
        hold = HOLD_SECONDS if self._blocks is None else self._blocks.hold_seconds
        self._guard = Guard(self._mixture, self._found, frames.hop / spec.sample_rate, hold)
        self._listening = listening
        self._words = Glide(max(1, round(GLIDE_SECONDS * spec.sample_rate / frames.hop)))

    @property
    def newest(self) -> Samples:
        """Where the next hop of input belongs, (channels, hop); another place after `step`."""
        return self._stft.newest

    @property
    def latency(self) -> tuple[tuple[str, int], ...]:
        """Named parts, in samples, of the delay from an input hop to its stems."""
        return (
            (("overlap", self._frames.overlap),) if self._blocks is None else self._blocks.latency
        )

    @property
    def tail(self) -> int:
        """Samples for which stems may go on after those of the last input sample.

        A sample stays in the analysis window for n_fft samples, and each of those frames may sound
        over all that the synthesis window covers.
        """
        return self._frames.n_fft - 1

    def begin_block(self) -> None:
        """A block begins, of any number of hops. Audio thread."""
        if self._trailing is not None:
            self._trailing.begin_block()

    def step(self) -> None:
        """Process the hop in `newest`; writes `out`. Audio thread, raises nothing."""
        self._counters.hops += 1
        self._stft.analyse(self._spectrum)
        if self._listening is not None:
            self._listening.hear(self._stft.newest)
            self._words.asked = self._listening.conditioning
        fault = self._advance()
        if fault is not None:
            self._replace(fault)
        if self._linked is not None:
            self._linked.apply(self._mixture, self._found)
        if self._chosen is not self._found:
            np.copyto(self._chosen, self._found[:, : self._chosen.shape[1]])
        if not self._istft.synthesise(self._rows, self._frame):
            self._counters.faults += 1  # none is known that the guard lets through
        self._stft.advance()

    def _advance(self) -> Trouble | None:
        """Let the session take its step; what is wrong with the stems, if anything."""
        session, blocks = self._session, self._blocks
        if self._leaves_out and self.deadline_ns and time.perf_counter_ns() > self.deadline_ns:
            return "late"
        try:
            self._words.advance(session)
            if blocks is not None:
                blocks.hear(self._stft.newest)
            session.step()
            if self._beside is not None and self._beside.trouble:
                return self._beside.trouble
            if self._trailing is not None:
                self._counters.late += self._trailing.behind > 0
            return self._guard.inspect()
        except Exception:  # whatever a network may raise, it must not reach the callback
            return "error"

    def _replace(self, fault: Trouble) -> None:
        """Count the fault, let the network forget what led to it, hold the last masks."""
        counters = self._counters
        if fault == "late":
            counters.late += 1
            # What a network remembers is kept over a short stall: it is nearer to what comes than
            # nothing is. Not so once its masks are too old to be heard.
            forgets = self._guard.expired
        else:
            forgets = True
            counters.faults += 1
            counters.errors += fault == "error"
            counters.absurd += fault == "absurd"
        # A window remembers nothing of the one before; what trails forgets by itself.
        if forgets and self._beside is None:
            with contextlib.suppress(Exception):
                self._session.reset()
        refuge = self._refuge()
        # The residual comes after the stems; to the guard that is beyond the negatives, too.
        self._guard.hold(refuge if refuge < len(self.out) else self._found.shape[1])

    def set_conditioning(self, conditioning: Samples) -> None:
        """Hand other queries, [Q, D], to the session in the next steps. Control thread.

        Another array each time: what is new is told by identity. Only this method writes what is
        asked for, here or there, so none is lost between two of them.
        """
        if self._listening is not None:
            self._listening.ask(conditioning)
        else:
            self._words.asked = conditioning

    def reset(self) -> None:
        """Forget all input; settings stay and apply at once."""
        self._stft.reset()
        self._istft.reset()
        self._session.reset()
        self._guard.reset()
        self._words.reset()
        if self._listening is not None:
            self._listening.reset()
