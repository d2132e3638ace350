"""An interpreter that leaves the audio callback alone as far as it can."""

from __future__ import annotations

import gc
import sys

# With the usual 5 ms, one busy Python thread makes half of all 2.7 ms callbacks late; 0.1 ms: 1 %.
_SWITCH_INTERVAL_S = 1e-4


class Quiet:
    """`begin` before audio runs, `end` after it, which gives the interpreter its habits back."""

    def __init__(self) -> None:
        self._habits: tuple[bool, float] | None = None

    def begin(self) -> None:
        """A full collection stops every thread, the callback too, for up to 0.3 s: none comes.

        Should anybody ask for one all the same, it leaves out what there is by now.
        """
        self._habits = (gc.isenabled(), sys.getswitchinterval())
        gc.collect()
        gc.freeze()
        gc.disable()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)

    def end(self) -> None:
        """Nothing where it had not begun."""
        if self._habits is not None:
            collecting, interval = self._habits
            self._habits = None
            sys.setswitchinterval(interval)
            gc.unfreeze()
            if collecting:
                gc.enable()
