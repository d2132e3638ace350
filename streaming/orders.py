"""A thread beside the audio thread, which works off what that one orders."""

import atexit
import threading
import time
from abc import ABC, abstractmethod
from queue import SimpleQueue
from typing import Any, Generic, TypeVar
from weakref import WeakSet

Order = TypeVar("Order")

# How long whoever waits for the thread sleeps between two looks.
_POLL_S = 1e-4
# How long a thread is waited for that was told to end.
_PATIENCE_S = 2.0


class OrderThread(ABC, Generic[Order]):
    """Takes orders until there is None, and counts those that are done.

    The audio thread posts to a `SimpleQueue`, whose `put` takes no lock and wakes the thread
    without waiting for it (`Event` and `Condition` share a lock with the thread they wake, and the
    audio thread would wait for it whenever the other was interrupted while it held it).

    It starts here, so that whoever derives from this has all that it works with before. Who forgets
    it tells it to `end`, on whatever thread that happens; a program that exits waits for it, since
    what it computes must not be taken down under it.
    """

    def __init__(self, name: str) -> None:
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        # Orders: the audio thread's count, and the thread's. The first is to warm up.
        self._posted, self._done = 1, 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        _running.add(self)

    @abstractmethod
    def _work(self) -> None:
        """Warm up, then take what is ordered, adding to `_done`; ends at None. The thread."""

    def post(self, order: Order) -> None:
        """Order something. Audio thread."""
        self._posted += 1
        self._orders.put(order)

    def finish(self) -> None:
        """Wait until nothing is left of what was ordered. Audio thread, where it may wait."""
        while self._done != self._posted and self._thread.is_alive():
            time.sleep(_POLL_S)

    def end(self) -> None:
        """Let the thread end after what it is at. Any thread; it is not waited for."""
        self._orders.put(None)

    def close(self, limit_s: float = _PATIENCE_S) -> bool:
        """The same, and whether it has ended within the limit. Control thread."""
        self.end()
        self._thread.join(limit_s)
        return not self._thread.is_alive()


_running: WeakSet[OrderThread[Any]] = WeakSet()


@atexit.register
def _end_all() -> None:
    """End what still runs, and wait for it, for no longer than for one of them."""
    latest = time.monotonic() + _PATIENCE_S
    threads = tuple(_running)
    for thread in threads:
        thread.end()
    for thread in threads:
        thread.close(max(0.0, latest - time.monotonic()))
