"""Keeps what a network gives fit for ears: faults are found, and the last good masks held."""

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.session import Trouble

Spectrum = NDArray[np.complex64]
Floats = NDArray[np.float32]

# A stem may be so much louder than the input it was taken from. Masks seldom amplify at all.
LOUDEST_DB = 12.0
_RATIO: float = 10 ** (LOUDEST_DB / 10)
# Below this level of a full-scale sine any stem passes: ratios to nothing say nothing.
FLOOR_DB = -60.0
# How long the last good masks stand in, and how long they then take to fade.
HOLD_SECONDS = 0.100
FADE_SECONDS = 0.020


class Guard:
    """Inspects and, where needed, replaces the stems of a session, in the session's own array.

    `mixture` (channels, bins) and `stems` (channels, queries, bins) are the session's arrays; the
    one is the spectrum that the other was taken from. A frame lasts `hop_seconds`; masks are held
    for `hold_seconds`. Audio thread.
    """

    def __init__(
        self,
        mixture: Spectrum,
        stems: Spectrum,
        hop_seconds: float,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._mixture, self._stems = mixture, stems
        self._good_mixture, self._good_stems = np.zeros_like(mixture), np.zeros_like(stems)
        # Complex, though powers are real: numpy would allocate to convert them. Their place serves
        # for other products once the masks are found.
        self._masks, self._power = np.zeros_like(stems), np.zeros_like(mixture)
        # One row a channel and query: for longer ones BLAS may wake threads.
        self._mixture_rows = [row.view(np.float32) for row in mixture]
        self._stem_rows = [[row.view(np.float32) for row in rows] for rows in stems]
        n_fft = 2 * (mixture.shape[-1] - 1)
        self._floor: float = (n_fft / 4 * 10 ** (FLOOR_DB / 20)) ** 2
        self._hold = round(hold_seconds / hop_seconds)
        self._fade = max(1, round(FADE_SECONDS / hop_seconds))
        self._gone = self._hold + self._fade
        self._age = 0  # hops since the masks were found
        self._none_yet = True

    @property
    def expired(self) -> bool:
        """Whether nothing of the last good masks is heard any more."""
        return self._age >= self._gone

    def reset(self) -> None:
        """Forget the masks."""
        self._age, self._none_yet = 0, True

    def inspect(self) -> Trouble | None:
        """What is wrong with the stems, if anything; good ones are remembered."""
        # A NaN or an infinity among the numbers makes the sum of squares one, too.
        for mixture, stems in zip(self._mixture_rows, self._stem_rows, strict=True):
            allowed = self._allowed(mixture)
            for stem in stems:
                energy = float(np.dot(stem, stem))
                if not energy <= allowed:
                    return "absurd" if math.isfinite(energy) else "numbers"
        self._age, self._none_yet = 0, False
        np.copyto(self._good_mixture, self._mixture)
        np.copyto(self._good_stems, self._stems)
        return None

    def hold(self, refuge: int) -> None:
        """Overwrite the stems by what the last good masks make of the mixture.

        Masks that are too old fade, and the mixture goes to the stem of number `refuge`, or to none
        where there is no such stem: then all of it is residual. A mask that was found in next to
        nothing may amplify by any amount: what it makes is held to what `inspect` allows.
        """
        if self._none_yet:
            self._age = self._gone
        elif self._age == 0:
            self.find_masks(self._masks)
        self._age = min(self._age + 1, self._gone)
        level = min(1.0, (self._gone - self._age) / self._fade)
        self._multiply(level)
        # Row by row: numpy multiplies arrays of other shapes by way of buffers that it allocates.
        for mixture, stems, share in zip(self._mixture, self._stems, self._power, strict=True):
            if level < 1.0 and refuge < len(stems):
                np.multiply(mixture, 1.0 - level, out=share)
                np.add(stems[refuge], share, out=stems[refuge])

    def _multiply(self, level: float) -> None:
        """Make the stems of the mixture by the masks, times `level`."""
        for mixture, masks, stems, mixture_row, stem_rows in zip(
            self._mixture,
            self._masks,
            self._stems,
            self._mixture_rows,
            self._stem_rows,
            strict=True,
        ):
            allowed = self._allowed(mixture_row)
            for mask, stem, row in zip(masks, stems, stem_rows, strict=True):
                np.multiply(mask, mixture, out=stem)
                energy = float(np.dot(row, row))
                over = energy / allowed if energy > allowed else 1.0
                np.multiply(stem, level / math.sqrt(over), out=stem)

    def _allowed(self, mixture: Floats) -> float:
        """The most energy that a stem may have, of the mixture's numbers in a row."""
        return _RATIO * float(np.dot(mixture, mixture)) + self._floor

    def find_masks(self, out: Spectrum) -> None:
        """The masks of the stems that were good last, (channels, queries, bins). Once for each."""
        for mixture, power, goods, masks in zip(
            self._good_mixture, self._power, self._good_stems, out, strict=True
        ):
            np.conjugate(mixture, out=power)
            np.multiply(mixture, power, out=power)
            # Bins with next to nothing in them have next to no mask, instead of any.
            np.add(power, 1e-6 * float(power.real.mean()) + 1e-20, out=power)
            np.conjugate(mixture, out=mixture)
            for good, mask in zip(goods, masks, strict=True):
                np.multiply(good, mixture, out=mask)
                np.divide(mask, power, out=mask)
