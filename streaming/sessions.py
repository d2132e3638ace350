"""Where a processor's session comes from: made elsewhere, or opened from a bundle and kept."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.queries import baked_conditioning
from ..runtime.session import BlockSession, HopSession, Session
from .pace import Budget
from .windowed import Pace, WindowedSession

Samples = NDArray[np.float32]


class SessionSource:
    """Gives the session for as many channels and as fast a pace as are wanted, and ends it.

    `source`, `device`, `threads`, `advance`, `lookahead` and `budget` are those of `Processor`.
    `conditioning` [Q, D] is what sessions begin with, None if nobody knows it. Control thread.
    """

    def __init__(
        self,
        source: Bundle | HopSession,
        *,
        device: str,
        threads: int,
        conditioning: Samples | None,
        advance: int | None,
        lookahead: int | None,
        budget: Budget,
    ) -> None:
        self.spec = source.spec
        if (advance, lookahead) != (None, None):
            self.spec.schedule(advance=advance, lookahead=lookahead)
        self._source = source
        self._device, self._threads = device, threads
        self._advance, self._lookahead, self._budget = advance, lookahead, budget
        if conditioning is None and isinstance(source, Bundle):
            conditioning = baked_conditioning(source)
        self._conditioning = conditioning
        self.current: HopSession | None = None
        self._pace: Pace = "wait"

    @property
    def queries(self) -> int:
        """How many queries sessions are asked, negatives included."""
        if not isinstance(self._source, Bundle):
            return self._source.queries
        given = self._conditioning
        return len(self.spec.queries) if given is None else len(given)

    def ask(self, conditioning: Samples) -> Samples:
        """The conditioning to begin with from now on, [Q, D]; the copy that is kept of it.

        `ValueError` as in `Processor.set_conditioning`.
        """
        if not np.isfinite(conditioning).all():
            raise ValueError("found a conditioning that is not finite")
        size = self._source.conditioning_size if isinstance(self._source, Bundle) else None
        if size == 0:
            raise ValueError("this model's queries are folded into it and cannot be others")
        if conditioning.shape != (self.queries, size or conditioning.shape[-1]):
            raise ValueError(
                f"found a conditioning of {conditioning.shape}, expected ({self.queries}, {size})"
            )
        self._conditioning = conditioning.copy()
        return self._conditioning

    def open(self, channels: int, *, realtime: bool) -> HopSession:
        """The session for so many channels, the same as before where it fits.

        `ValueError` for channels that a session made elsewhere does not have; `realtime` lets the
        windows of a windowed bundle run on a thread of their own.
        """
        pace: Pace = "live" if realtime and self.spec.kind == "windowed" else "wait"
        session = self.current
        if not isinstance(self._source, Bundle):
            found = len(self._source.spectrum)
            if found != channels:
                raise ValueError(f"found {channels} channels, the session has {found}")
            session = self.current = self._source
        elif session is None or (len(session.spectrum), self._pace) != (channels, pace):
            self.close()
            self._pace = pace
            session = self.current = self._make(self._source, channels)
            return session
        if self._conditioning is not None:
            session.set_conditioning(self._conditioning)
        return session

    def wait(self, waits: bool) -> None:
        """Whether a session that computes on its own is waited for. Any thread."""
        if isinstance(self.current, WindowedSession):
            self.current.waits = waits

    def close(self) -> None:
        """Forget the session; one that is ours and computes on its own is told to end."""
        session, self.current = self.current, None
        if isinstance(session, BlockSession) and session is not self._source:
            session.close()

    def _make(self, bundle: Bundle, channels: int) -> HopSession:
        if bundle.spec.kind == "streaming":
            return Session(
                bundle,
                channels=channels,
                device=self._device,
                threads=self._threads,
                conditioning=self._conditioning,
            )
        return WindowedSession(
            bundle,
            channels=channels,
            device=self._device,
            threads=self._threads,
            conditioning=self._conditioning,
            advance=self._advance,
            lookahead=self._lookahead,
            budget=self._budget,
            pace=self._pace,
        )
