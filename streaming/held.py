"""Masks for hops that got none: the last ones for a while, then less and less of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Masks = NDArray[Any]


class HeldMasks:
    """What is applied where windows fail, and how the next good one takes over. Audio thread.

    `like` has shape and type of the masks of one hop, a hop lasts `hop_seconds`. For HOLD_SECONDS
    the last good masks stand in for those that are missing, which is an advance of most models: one
    window dropped is hardly heard. In FADE_SECONDS more they go to silence, linearly. The next good
    ones take over from whatever is applied within RETURN_SECONDS.
    """

    HOLD_SECONDS = 0.300
    FADE_SECONDS = 0.100
    RETURN_SECONDS = 0.050

    def __init__(self, like: Masks, hop_seconds: float) -> None:
        self._hold = round(self.HOLD_SECONDS / hop_seconds)
        self._fade = max(1, round(self.FADE_SECONDS / hop_seconds))
        self._return = max(1, round(self.RETURN_SECONDS / hop_seconds))
        self._gone = self._hold + self._fade
        self._silence, self._held, self._mixed = (np.zeros_like(like) for _ in range(3))
        self.reset()

    def reset(self) -> None:
        """Start anew: there are no masks yet, so none can be held."""
        self._applied = self._silence
        self._age = 0  # hops without masks
        self._returning = 0  # hops until the good ones have taken over

    @property
    def lost(self) -> bool:
        """Whether masks have been missing for so long that they fade or have faded."""
        return self._age > self._hold

    def choose(self, masks: Masks | None) -> Masks:
        """What to apply in this hop, given its masks or None; stands until the next call.

        Masks that were given must stand until then, too.
        """
        if masks is None:
            self._applied = self._stand_in()
        elif self._age or self._returning:
            self._applied = self._take_over(masks)
        else:
            self._applied = masks
        return self._applied

    def _stand_in(self) -> Masks:
        if self._age == 0:
            np.copyto(self._held, self._applied)
            self._age = self._gone if self._applied is self._silence else 0
        self._age = min(self._age + 1, self._gone)
        self._returning = 0
        level = min(1.0, (self._gone - self._age) / self._fade)
        return np.multiply(self._held, level, out=self._mixed)

    def _take_over(self, masks: Masks) -> Masks:
        if self._age:
            np.copyto(self._held, self._mixed)
            self._age, self._returning = 0, self._return
        share = 1.0 - self._returning / (self._return + 1)
        self._returning -= 1
        np.subtract(masks, self._held, out=self._mixed)
        np.multiply(self._mixed, share, out=self._mixed)
        return np.add(self._mixed, self._held, out=self._mixed)
