"""Streaming short-time Fourier transform and its inverse, one hop a call, nothing allocated.

Numpy multiplies arrays of one shape and without gaps in place, and others by way of buffers that it
allocates in each call. Hence the copies before the products, and the windows written out by row.

With the windows of `runtime.frames` the inverse gives the input back, `Frames.overlap` samples
late: the hop that `StreamingSTFT.newest` took last is complete only when the frames to come have
overlapped it. That is one hop for a synthesis window of two.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.frames import Frames, analysis_window, synthesis_window

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


class StreamingSTFT:
    """Frames of the newest n_fft samples, each one hop after the last; zeros before the start.

    A hop: write (channels, hop) samples into `newest`, call `analyse`, use `completed` if the
    delayed input is wanted, call `advance`.
    """

    def __init__(self, frames: Frames, channels: int) -> None:
        size, hop = frames.n_fft, frames.hop
        # Times n_fft, which the norm below divides by again: numpy's usual norm is a factor of 1,
        # but of another type, for whose conversion each call would allocate 32 KiB.
        window = (analysis_window(frames) * size).astype(np.float32)
        self._window = np.tile(window, (channels, 1))
        self._windowed = np.empty((channels, size), np.float32)
        # The frame slides along a line of samples and jumps back at its end, so that the history is
        # moved once in `slots` hops. With hop·slots >= n_fft - hop, source and target of that move
        # do not overlap; numpy would copy in between. It sees that for one channel at a time only.
        slots = math.ceil(size / hop)
        self._line = np.zeros((channels, (slots - 1) * hop + size), np.float32)
        starts = [slot * hop for slot in range(slots)]
        self._frames = [self._line[:, a : a + size] for a in starts]
        self._newest = [self._line[:, a + size - hop : a + size] for a in starts]
        self._completed = [self._line[:, a + size - 2 * hop : a + size - hop] for a in starts]
        self._moves = [(row[: size - hop], row[slots * hop :]) for row in self._line]
        self._slot = 0

    @property
    def newest(self) -> Samples:
        """Where the next hop of input belongs, (channels, hop); another place after `advance`."""
        return self._newest[self._slot]

    @property
    def completed(self) -> Samples:
        """The input hop before `newest`, (channels, hop): what the inverse completes right now."""
        return self._completed[self._slot]

    def analyse(self, out: Spectrum) -> None:
        """Write the spectrum of the frame that ends with `newest` to `out`, (channels, bins)."""
        np.copyto(self._windowed, self._frames[self._slot])
        np.multiply(self._windowed, self._window, out=self._windowed)
        # The types' ignore: numpy's stubs know an `out` of double precision only.
        np.fft.rfft(self._windowed, norm="forward", out=out)  # type: ignore[arg-type]

    def advance(self) -> None:
        """Take `newest` into the history."""
        self._slot += 1
        if self._slot == len(self._frames):
            for start, history in self._moves:
                start[...] = history
            self._slot = 0

    def reset(self) -> None:
        """Forget all input: zeros again."""
        self._line.fill(0.0)
        self._slot = 0


class StreamingISTFT:
    """Spectra to samples: inverse transform, synthesis window, overlap-add.

    `rows` is the number of spectra a hop, such as channels, or channels times stems.
    """

    def __init__(self, frames: Frames, rows: int) -> None:
        size, hop, support = frames.n_fft, frames.hop, frames.support
        self._size = size
        # What the window leaves of a frame, in pieces of a hop: (piece, row, hop), the first to be
        # completed first. Where the hop does not divide it, zeros fill the last piece.
        pieces = math.ceil(support / hop)
        missing = pieces * hop - support
        padded = np.zeros((rows, size + missing), np.float32)
        self._frame = padded[:, :size]
        self._support = padded[:, size - support :].reshape(rows, pieces, hop).swapaxes(0, 1)
        window = np.pad(synthesis_window(frames)[-support:], (0, missing)).reshape(pieces, 1, hop)
        self._window = np.tile(window.astype(np.float32), (1, rows, 1))
        # As many windowed frames in turn: of the one just made the first piece is needed now, of
        # the one before it the second, and so on.
        self._windowed = [np.zeros((pieces, rows, hop), np.float32) for _ in range(pieces)]
        self._flat = [frame.reshape(-1) for frame in self._windowed]
        frame = self._windowed
        self._first_two = [(frame[turn][0], frame[turn - 1][1]) for turn in range(pieces)]
        self._others = [
            [frame[turn - age][age] for age in range(2, pieces)] for turn in range(pieces)
        ]
        self._turn = 0

    def synthesise(self, spectrum: Spectrum, out: Samples) -> bool:
        """Add the frame of `spectrum` (rows, bins); write the hop it completes, (rows, hop).

        Returns whether the frame was finite. One that was not counts as silence, in all rows.
        """
        turn = self._turn
        windowed = self._windowed[turn]
        np.fft.irfft(spectrum, self._size, out=self._frame)  # type: ignore[arg-type]
        np.copyto(windowed, self._support)
        np.multiply(windowed, self._window, out=windowed)
        # One NaN or infinity makes the sum one, too; far cheaper than asking each sample.
        finite = math.isfinite(np.add.reduce(self._flat[turn]))
        if not finite:
            windowed.fill(0.0)
        newest, older = self._first_two[turn]
        np.add(newest, older, out=out)
        for piece in self._others[turn]:
            np.add(out, piece, out=out)
        self._turn = turn + 1 if turn + 1 < len(self._windowed) else 0
        return finite

    def reset(self) -> None:
        """Forget the frames before: silence again."""
        for frame in self._windowed:
            frame.fill(0.0)
