"""Where a processor's session comes from: made elsewhere, or opened from a bundle and kept."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import BundleError
from ..runtime.queries import baked_conditioning
from ..runtime.session import BlockSession, HopSession, Session
from .listening import Listening
from .pace import Budget
from .trailing import TrailingSession
from .windowed import Pace, WindowedSession

Samples = NDArray[np.float32]


class SessionSource:
    """Gives the session for as many channels and as fast a pace as are wanted, and ends it.

    `source`, `device`, `threads`, `advance`, `lookahead`, `budget`, `trailing`, `listens` and
    `negatives` are those of `Processor`.
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
        trailing: bool,
        listens: bool,
        negatives: int,
    ) -> None:
        self.spec = source.spec
        if trailing and self.spec.kind == "windowed":
            raise BundleError(
                f"{self.spec.name} is a windowed model, whose network runs beside the audio thread "
                "anyway; trailing masks are for streaming models"
            )
        if (advance, lookahead) != (None, None):
            self.spec.schedule(advance=advance, lookahead=lookahead)
        self._source = source
        self._bundle = source if isinstance(source, Bundle) else None
        if isinstance(source, Session) and conditioning is not None:
            self._bundle = source.bundle
        self._device, self._threads = device, threads
        self._advance, self._lookahead, self._budget = advance, lookahead, budget
        if conditioning is None and isinstance(source, Bundle):
            conditioning = baked_conditioning(source)
        self._conditioning = conditioning
        self._trailing = trailing
        self._listener = self._bundle.listener if listens and self._bundle is not None else None
        self._negatives = negatives
        self.current: HopSession | None = None
        self.listening: Listening | None = None
        self._made_for: tuple[tuple[int, Pace], int] = ((0, "wait"), 0)  # and hops, at most

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

    def open(self, channels: int, *, realtime: bool, hops: int) -> HopSession:
        """The session for so many channels, the same as before where it fits.

        `ValueError` for channels that a session made elsewhere does not have; `realtime` lets the
        windows of a windowed bundle run on a thread of their own, and nothing wait for trailing
        masks. `hops` is the largest number of them in a block.
        """
        beside = self._trailing or self.spec.kind == "windowed"
        pace: Pace = "live" if realtime and beside else "wait"
        made_for, most = self._made_for
        session = self.current
        if session is None or made_for != (channels, pace) or (self._trailing and hops > most):
            self.close()
            session = self._make(channels, pace)
            if self._trailing:
                session = TrailingSession(session, hops=hops, realtime=realtime)
            self.current, self._made_for = session, ((channels, pace), hops)
        if self._conditioning is not None:
            session.set_conditioning(self._conditioning)
        self._listen()
        self.wait(False)
        if self.listening is not None:
            self.listening.waits = not realtime
        return session

    def wait(self, waits: bool) -> None:
        """Whether a session that computes on its own is waited for. Any thread."""
        if isinstance(self.current, WindowedSession | TrailingSession):
            self.current.waits = waits
        if self.listening is not None:
            self.listening.waits = waits

    def close(self) -> None:
        """Forget the session; one that is ours and computes on its own is told to end.

        One that was made elsewhere is left with the words that were asked for, not with what a
        listener made of them.
        """
        listened = self.listening is not None
        self._stop_listening()
        session, self.current = self.current, None
        source, asked = self._source, self._conditioning
        if session is not source and isinstance(session, BlockSession | TrailingSession):
            session.close()
        if listened and asked is not None and not isinstance(source, Bundle):
            source.set_conditioning(asked)

    def _listen(self) -> None:
        """Have a listener beside the session, where the bundle has one and words are known."""
        bundle, conditioning = self._bundle, self._conditioning
        if self._listener is None or conditioning is None or bundle is None:
            return
        if self.listening is None:
            wanted = len(conditioning) - self._negatives
            self.listening = Listening(bundle, self._listener, conditioning, wanted)
        else:
            self.listening.ask(conditioning)

    def _stop_listening(self) -> None:
        listening, self.listening = self.listening, None
        if listening is not None:
            listening.close()

    def _make(self, channels: int, pace: Pace) -> HopSession:
        bundle = self._source
        if not isinstance(bundle, Bundle):
            found = len(bundle.spectrum)
            if found != channels:
                raise ValueError(f"found {channels} channels, the session has {found}")
            return bundle
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
            pace=pace,
        )
