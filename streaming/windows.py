"""Windows: one run of a network each, from a stream's newest block to masks that are ready to use.

They are made on a thread of their own, at their own pace; onnxruntime and numpy let go of the
interpreter lock while they compute. What goes between that thread and the audio thread, in either
direction, is one object at a time whose reference is replaced in a single step.
"""

import contextlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..runtime.network import MaskNetwork
from ..runtime.schedule import Schedule
from ..runtime.session import Trouble
from .blocks import BlockTransform, History
from .orders import OrderThread

Floats = NDArray[np.float32]


class Order(NamedTuple):
    """A window to make: `number` from 0 on, in the stream `epoch`, launched by `hop`."""

    epoch: int
    number: int
    hop: int
    conditioning: Floats | None


class Result(NamedTuple):
    """What became of an order: masks in the slot, or the trouble that left it without."""

    epoch: int
    number: int
    trouble: Trouble | None


class Slot:
    """Where the masks of a window are put: [advance, channels, queries, bins, 2].

    A real mask stands there twice, for the real and the imaginary part that it multiplies. They
    are what `result` says, which is written last; the maker may write again when the window after
    the next has been ordered.
    """

    def __init__(self, advance: int, stems: Floats) -> None:
        self.masks: Floats = np.zeros((advance, *stems.shape), np.float32)
        self.result = Result(-1, -1, "late")


@dataclass(slots=True)
class Clock:
    """The audio thread's time: which stream it plays, and the hop it is at."""

    epoch: int = 0
    hop: int = 0


class WindowMaker:
    """Makes windows in the order of their numbers, and lets each take over from the one before.

    The first C frames of a window go from the masks of the window before to its own in a straight
    line: frame j has (j + 1) / (C + 1) of its own. A window whose predecessor was not made has only
    its own.
    """

    def __init__(
        self,
        network: MaskNetwork,
        schedule: Schedule,
        transform: BlockTransform,
        history: History,
        slots: tuple[Slot, Slot],
    ) -> None:
        self._network, self._transform, self._history = network, transform, history
        self._schedule = schedule
        self._slots = slots
        crossfade = schedule.crossfade
        rise = np.arange(1, crossfade + 1) / (crossfade + 1)
        self._rise = rise.astype(np.float32).reshape(-1, 1, 1, 1, 1)
        self._fall = 1 - self._rise
        # A copy, since the network writes all its masks to the same memory.
        self._tail: Floats = np.zeros((crossfade, *slots[0].masks.shape[1:]), np.float32)
        self._tail_of = (-1, -1)

    def warm_up(self) -> None:
        """Let the first window on this thread take no longer than others; raises nothing."""
        with contextlib.suppress(Exception):  # what is broken shows again when a window is made
            self._network.warm_up()

    def make(self, order: Order) -> None:
        """Make the window that was ordered; raises nothing, trouble is in the slot's result."""
        slot = self._slots[order.number % 2]
        try:
            with np.errstate(all="ignore"):  # a broken network must not print warnings
                trouble = self._try(order, slot.masks)
        except Exception:  # whatever a network may raise: the next window may be better
            trouble = "error"
        slot.result = Result(order.epoch, order.number, trouble)

    def _try(self, order: Order, out: Floats) -> Trouble | None:
        schedule = self._schedule
        if not self._transform.transform(self._history, schedule.block_start(order.hop)):
            return "late"
        masks = self._network(order.conditioning)
        advance, crossfade = schedule.advance, schedule.crossfade
        used = masks[:, :, :, schedule.first_output :][:, :, :, : advance + crossfade]
        used = np.moveaxis(used, 3, 0)
        # One NaN or infinity makes the sum one, too.
        if not np.isfinite(np.add.reduce(used, axis=None)):
            return "numbers"
        np.copyto(out, used[:advance])
        if self._tail_of == (order.epoch, order.number - 1):
            first = out[:crossfade]
            first *= self._rise
            first += self._tail
        np.multiply(used[advance:], self._fall, out=self._tail)
        self._tail_of = order[:2]
        return None


class WindowThread(OrderThread[Order]):
    """Makes windows on one thread, in the time that the schedule leaves."""

    def __init__(self, maker: WindowMaker, clock: Clock, budget: int) -> None:
        self._maker, self._clock, self._budget = maker, clock, budget
        self._usual = 0  # hops that windows took which came in time
        super().__init__("soloist-windows")

    def _work(self) -> None:
        self._maker.warm_up()
        self._done += 1
        while True:
            order, taken_off = self._orders.get(), 1
            while order is not None and not self._orders.empty():
                order = self._orders.get()
                taken_off += 1
            if order is None:
                return
            waited = self._waited(order)
            # Started too late, a window would come too late, and so would all that follow where the
            # network needs the whole budget. So after a stall one may be left out; the next is not.
            if order.epoch == self._clock.epoch and waited + self._usual <= self._budget:
                self._maker.make(order)
                taken = self._waited(order)
                if taken <= self._budget and order.epoch == self._clock.epoch:
                    self._usual = taken - waited
            self._done += taken_off

    def _waited(self, order: Order) -> int:
        """Hops since an order was posted; its own is over, be it for a few lines of code."""
        return max(1, self._clock.hop - order.hop)
