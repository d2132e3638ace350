"""Other words while playing: the conditioning walks to the new ones, so that no mask jumps."""

import numpy as np
from numpy.typing import NDArray

from ..runtime.session import HopSession

Conditioning = NDArray[np.float32]


class Glide:
    """Moves the conditioning of a session to what was `asked`, in a straight line over `hops`.

    What a network makes of a conditioning is smooth, and where it is linear up to a softmax, as in
    `solo`, this fades from one set of masks to the other in the domain of their logits. Nothing is
    computed twice and the network's memory goes on.

    Any thread may write `asked`, another array [Q, D] each time; the rest is the audio thread's.
    """

    def __init__(self, hops: int) -> None:
        self.asked: Conditioning | None = None
        self.jump = True  # no sound yet: the next words apply at once
        self._hops = hops
        self._left = 0
        self._taken: Conditioning | None = None
        self._distance = self._step = np.zeros((0, 0), np.float32)

    def reset(self) -> None:
        """Forget the way: what was asked applies at once in the next step."""
        self.jump, self._taken, self._left = True, None, 0

    def advance(self, session: HopSession) -> None:
        """Go one hop further."""
        asked = self.asked
        if asked is not None and asked is not self._taken:
            self._taken = asked
            self._begin(session.conditioning, asked)
        self.jump = False
        taken = self._taken
        if self._left == 0 or taken is None:
            return
        self._left -= 1
        np.multiply(self._distance, self._left / self._hops, out=self._step)
        np.add(self._step, taken, out=self._step)
        session.set_conditioning(self._step)

    def _begin(self, current: Conditioning | None, asked: Conditioning) -> None:
        self._left = self._hops
        # one NaN or infinity makes the sum one, too
        if self.jump or current is None or not np.isfinite(np.add.reduce(current, axis=None)):
            self._left = 1  # its one step ends on the goal
            current = asked
        if self._distance.shape != asked.shape:
            self._distance, self._step = np.empty_like(asked), np.empty_like(asked)
        np.subtract(current, asked, out=self._distance)
