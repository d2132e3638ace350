"""One mask for all channels, so that what is separated stays where it was in the stereo image."""

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.complex64]

# Beside the energy of a bin; 300 dB below full scale, where the mask may as well be nothing.
_FLOOR = 1e-30


class LinkedMasks:
    """Replaces stems by one mask times each channel's own input.

    The mask of a query is the one that comes nearest to all its stems in the sum of squares, bin by
    bin: M = sum_c S_c·conj(X_c) / sum_c |X_c|². Channels weigh by their energy, and unlike with the
    mask of their sum nothing cancels where they are out of phase. For one channel it changes
    nothing. Everything is allocated here, for spectra of `channels`, `queries` and `bins`.
    """

    def __init__(self, channels: int, queries: int, bins: int) -> None:
        if min(channels, queries, bins) < 1:
            raise ValueError(
                f"found {channels} channels, {queries} queries and {bins} bins, each must be at "
                "least 1"
            )
        self._linked = channels > 1
        self._weights = np.empty((channels, bins), np.complex64)
        self._product = np.empty((channels, bins), np.complex64)
        self._energy = np.empty(bins, np.complex64)
        self._mask = np.empty(bins, np.complex64)

    def apply(self, spectrum: Spectrum, stems: Spectrum) -> None:
        """Link `stems` (channels, queries, bins) of an input (channels, bins), in place.

        Audio thread, allocates nothing. Bins without input get silent stems.
        """
        if not self._linked:
            return
        weights, product, mask = self._weights, self._product, self._mask
        # All complex, the energy, too: numpy would allocate to convert real numbers.
        np.conjugate(spectrum, out=weights)
        np.multiply(spectrum, weights, out=product)
        np.add.reduce(product, axis=0, out=self._energy)
        np.add(self._energy, _FLOOR, out=self._energy)
        for row in weights:
            np.divide(row, self._energy, out=row)
        for query in range(stems.shape[1]):
            # Row by row: numpy multiplies arrays with gaps by way of buffers that it allocates.
            for channel, row in enumerate(weights):
                np.multiply(stems[channel, query], row, out=product[channel])
            np.add.reduce(product, axis=0, out=mask)
            for channel, row in enumerate(spectrum):
                np.multiply(mask, row, out=stems[channel, query])
