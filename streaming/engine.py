"""One hop through the network: window, transform, session, mix, inverse transform, overlap-add."""

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.frames import analysis_window, synthesis_window
from ..runtime.session import HopSession
from .counters import Counters
from .gains import Gains
from .stft import StreamingISTFT, StreamingSTFT

Samples = NDArray[np.float32]


class Engine:
    """Takes a hop of input, gives the hop before it, separated.

    `separate` False: one output, the mix that `gains` asks for, in `out` (channels, hop).
    `separate` True: each stem and then the residual, in `out` (queries + 1, channels, hop).

    A hop: write the input to `newest` (channels, hop), call `step`, read `out`. The delayed input
    enters the output in the time domain, sample by sample, so what should sum to the input does.
    """

    def __init__(
        self, session: HopSession, gains: Gains, counters: Counters, *, separate: bool
    ) -> None:
        frames = session.spec.frames
        channels, queries = session.stems.shape[:2]
        self._session = session
        self._gains = gains
        self._counters = counters
        self._separate = separate
        self._spectrum = session.spectrum.view(np.complex64)[..., 0]
        self._stft = StreamingSTFT(frames, channels)
        self._fresh = True
        self._asked: Samples | None = None
        self._taken: Samples | None = None
        # How a frame takes over from the one before it, within a hop.
        window = analysis_window(frames) * synthesis_window(frames)
        rise = window[-2 * frames.hop : -frames.hop].astype(np.float32)
        self._rise = np.tile(rise, (channels, 1))
        self._dry_before = 0.0
        self._ramp = np.empty_like(self._rise)
        self._dry = np.empty_like(self._rise)
        if separate:
            self._istft = StreamingISTFT(frames, channels * queries)
            self._stems = session.stems.view(np.complex64).reshape(-1, frames.bins)
            self._wet = np.empty((channels * queries, frames.hop), np.float32)
            self._wet_stems = self._wet.reshape(channels, queries, -1).swapaxes(0, 1)
            self.out = np.zeros((queries + 1, channels, frames.hop), np.float32)
        else:
            self._istft = StreamingISTFT(frames, channels)
            self._mix = np.empty((channels, frames.bins), np.complex64)
            # Real weights times real numbers; the same memory as the complex views.
            self._real_mix = self._mix.view(np.float32)
            self._real_stems = session.stems.reshape(channels, queries, -1)
            self.out = np.zeros((channels, frames.hop), np.float32)

    @property
    def newest(self) -> Samples:
        """Where the next hop of input belongs, (channels, hop); another place after `step`."""
        return self._stft.newest

    def step(self) -> None:
        """Process the hop in `newest`; writes `out`."""
        newest = self._stft.newest
        if not math.isfinite(np.add.reduce(newest, axis=None)):
            self._clean(newest)
        if self._fresh:
            self._gains.snap()
            self._dry_before = self._gains.dry
            self._fresh = False
        self._gains.advance()
        asked = self._asked
        if asked is not None and asked is not self._taken:
            self._taken = asked
            self._session.set_conditioning(asked)
        self._stft.analyse(self._spectrum)
        self._session.step()
        if not (self._render_stems() if self._separate else self._render_mix()):
            self._session.reset()
            self._counters.faults += 1
        self._stft.advance()
        self._counters.hops += 1

    def set_conditioning(self, conditioning: Samples) -> None:
        """Hand other queries, [Q, D], to the session before its next step. Any thread.

        Another array each time: what is new is told by identity. Only this method writes the
        reference that the audio thread reads, so none is lost between two of them.
        """
        self._asked = conditioning

    def reset(self) -> None:
        """Forget all input; settings stay and apply at once."""
        self._stft.reset()
        self._istft.reset()
        self._session.reset()
        self._fresh = True

    def _render_mix(self) -> bool:
        # Not a matrix product: BLAS may skip weights of zero, and NaN with them, or wake threads.
        np.einsum("q,bqf->bf", self._gains.stems, self._real_stems, out=self._real_mix)
        finite = self._istft.synthesise(self._mix, self.out)
        self._add_dry(self._gains.dry if finite else self._gains.fallback)
        return finite

    def _add_dry(self, dry: float) -> None:
        """Add the delayed input, its weight gliding as the stems' weights do by overlap-add."""
        before, self._dry_before = self._dry_before, dry
        if dry == before == 0.0:
            return
        np.copyto(self._dry, self._stft.completed)
        if dry == before:
            np.multiply(self._dry, dry, out=self._dry)
        else:
            np.multiply(self._rise, dry - before, out=self._ramp)
            np.add(self._ramp, before, out=self._ramp)
            np.multiply(self._dry, self._ramp, out=self._dry)
        np.add(self.out, self._dry, out=self.out)

    def _render_stems(self) -> bool:
        # Without finite stems they are silent for a hop, and the residual is all of the input.
        finite = self._istft.synthesise(self._stems, self._wet)
        stems, residual = self.out[:-1], self.out[-1]
        np.copyto(stems, self._wet_stems)
        np.add.reduce(stems, axis=0, out=self._dry)
        np.copyto(residual, self._stft.completed)
        np.subtract(residual, self._dry, out=residual)
        return finite

    def _clean(self, newest: Samples) -> None:
        """Take samples that are no numbers as 0 and count them. Rare, so it may allocate."""
        bad = ~np.isfinite(newest)
        newest[bad] = 0.0
        self._counters.bad_input += int(np.count_nonzero(bad))
