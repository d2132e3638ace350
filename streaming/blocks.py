"""Blocks of a stream's newest audio, as the spectrograms on which offline networks were trained."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.frames import Frames, analysis_window
from ..runtime.spec import Fill

Samples = NDArray[np.float32]

# Frames that are transformed at once: enough to be quick, few enough for the processor's cache.
_CHUNK = 32


class History:
    """The newest `hops` hops of a stream: one thread writes, another may read meanwhile.

    Nothing is locked. The reader looks afterwards whether the writer has come round to what it was
    copying.
    """

    def __init__(self, channels: int, hop: int, hops: int) -> None:
        self._line = np.zeros((channels, hops * hop), np.float32)
        self._places = [self._line[:, at * hop : (at + 1) * hop] for at in range(hops)]
        self.hop = hop
        self._written = 0

    def write(self, samples: Samples) -> None:
        """Append a hop, (channels, hop). Writer."""
        np.copyto(self._places[self._written % len(self._places)], samples)
        self._written += 1

    def read(self, start: int, out: Samples) -> bool:
        """Copy samples from `start` (0: the stream's first) on to `out`, (channels, samples).

        All must have been written. Whether none was overwritten before it was copied. Reader.
        """
        size, count = self._line.shape[1], out.shape[1]
        at = start % size
        first = min(count, size - at)
        out[:, :first] = self._line[:, at : at + first]
        out[:, first:] = self._line[:, : count - first]
        # The writer may be within the hop that it has not counted yet.
        return start >= (self._written + 1) * self.hop - size

    def clear(self) -> None:
        """Start a new stream. Writer; a reader at work gets samples of both."""
        self._written = 0


class BlockTransform:
    """Blocks of `size` samples to spectrograms, framed and padded as `frames` says.

    Where a stream has not been as long as a block, `fill` says what precedes it: zeros, or the
    audio so far, repeated as often as needed. They are written to `spectrogram` (channels, bins,
    frames, 2).
    """

    def __init__(self, frames: Frames, size: int, fill: Fill, spectrogram: Samples) -> None:
        channels = len(spectrogram)
        half, hop = frames.n_fft // 2, frames.hop
        self._window = analysis_window(frames).astype(np.float32)
        self._fill = fill
        padded = np.zeros((channels, size + 2 * half), np.float32)
        self._block = padded[:, half : half + size]
        # What lies beyond the ends, and the samples that are mirrored there.
        self._mirrored = []
        if frames.padding == "reflect":
            self._mirrored = [
                (padded[:, :half], self._block[:, half:0:-1]),
                (padded[:, half + size :], self._block[:, -2 : -2 - half : -1]),
            ]
        windows = np.lib.stride_tricks.sliding_window_view(padded, frames.n_fft, axis=1)
        self._frames = windows[:, ::hop]
        self.spectrogram = spectrogram

    def transform(self, history: History, start: int) -> bool:
        """Write the `spectrogram` of the block that begins at `start`.

        `start` counts the stream's samples; negative for a block that begins before it. False,
        and nothing of use, where the history has moved on.
        """
        before = max(0, -start)
        if not history.read(start + before, self._block[:, before:]):
            return False
        self._fill_start(before)
        for border, samples in self._mirrored:
            np.copyto(border, samples)
        spectra = self.spectrogram.view(np.complex64)[..., 0]
        for first in range(0, self._frames.shape[1], _CHUNK):
            some = slice(first, first + _CHUNK)
            windowed = self._frames[:, some] * self._window
            spectra[:, :, some] = np.fft.rfft(windowed).swapaxes(1, 2)
        return True

    def _fill_start(self, before: int) -> None:
        """Fill the first samples of the block from those after them."""
        block = self._block
        if self._fill == "zeros":
            block[:, :before] = 0.0
            return
        size = block.shape[1]
        while before:
            # All that is there is whole repetitions, so it can be repeated as one.
            count = min(before, size - before)
            block[:, before - count : before] = block[:, size - count :]
            before -= count
