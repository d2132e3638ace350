"""The windows' own thread: in time it changes nothing, and whatever happens to it is survived."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.network import MaskNetwork
from soloist.streaming import windowed
from soloist.streaming.stft import StreamingSTFT
from soloist.streaming.windowed import WindowedSession

Toys = Callable[..., Any]
Audio = NDArray[np.float32]

SECOND = 1000  # hops: 16 samples at 16 kHz


class Script:
    """What the network of a session is to do: `at[n]` is called with the masks of its n-th run."""

    def __init__(self) -> None:
        self.runs = 0
        self.at: dict[int, Callable[[Any], Any]] = {}
        self.warm_up: Callable[[], None] = lambda: None

    def __call__(self, masks: Any) -> Any:
        act = self.at.get(self.runs, lambda masks: masks)
        self.runs += 1
        return act(masks)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The script of all sessions made in the test; nothing is measured before they play."""
    plan = Script()

    class Scripted(MaskNetwork):
        def __call__(self, *given: Any) -> Any:
            return plan(super().__call__(*given))

        def warm_up(self) -> None:
            plan.warm_up()

    monkeypatch.setattr(windowed, "MaskNetwork", Scripted)
    monkeypatch.setattr(windowed, "measure", lambda window: 0.0)
    return plan


@pytest.fixture
def live(script: Script, windowed_toy: Toys) -> Iterator[Callable[..., WindowedSession]]:
    """`live(**choices)` makes a session at live pace, closed after the test."""
    made = []

    def make(**choices: Any) -> WindowedSession:
        made.append(WindowedSession(windowed_toy(**choices).bundle, device="cpu"))
        return made[-1]

    yield make
    for session in made:
        assert session.close()


class Played:
    """Hop by hop what a session gave, and its trouble."""

    def __init__(self, session: WindowedSession) -> None:
        self.session = session
        self._stft = StreamingSTFT(session.spec.frames, len(session.spectrum))
        self._rng = np.random.default_rng(0)
        self.stems: list[Any] = []
        self.trouble: list[str | None] = []

    def play(self, hops: int, *, wait: bool = True) -> "Played":
        """Noise, always the same; `wait`s for each window that it launches, or never."""
        session, stft = self.session, self._stft
        for _ in range(hops):
            stft.newest[...] = self._rng.standard_normal(stft.newest.shape)
            session.hear(stft.newest)
            stft.analyse(session.spectrum.view(np.complex64)[..., 0])
            session.step()
            stft.advance()
            self.stems.append(session.stems.copy())
            self.trouble.append(session.trouble)
            if wait:
                settle(session)
        return self


def settle(session: WindowedSession) -> None:
    """Wait until the window that was launched last has been made."""
    schedule, clock = session.schedule, session._clock
    number = (clock.hop - 1 - schedule.first_launch) // schedule.advance
    deadline = time.monotonic() + 30.0
    while number >= 0 and session._slots[number % 2].result[:2] != (clock.epoch, number):
        assert time.monotonic() < deadline
        time.sleep(0.0002)


def undisturbed(windowed_toy: Toys, hops: int, **choices: Any) -> NDArray[np.float32]:
    session = WindowedSession(windowed_toy(**choices).bundle, device="cpu", pace="wait")
    return np.stack(Played(session).play(hops).stems)


def due(session: WindowedSession, number: int) -> int:
    """The hop in which a window is first played."""
    return session.delay + number * session.schedule.advance


def check_gap(played: Played, expected: NDArray[np.float32], first: int, good: int) -> None:
    """Trouble from hop `first` up to `good`; in all others what it should be, for most to the bit.

    The window after a gap has nothing to take over from, so its first frames are its own.
    """
    stems = np.stack(played.stems)
    gap = [not first <= hop < good for hop in range(len(stems))]
    assert [trouble is None for trouble in played.trouble] == gap
    np.testing.assert_array_equal(stems[:first], expected[:first])
    back = good + played.session.schedule.crossfade
    np.testing.assert_array_equal(stems[back:], expected[back:])
    assert len(stems) > back


def test_a_thread_that_keeps_up_gives_what_waiting_gives(
    live: Callable[..., WindowedSession], windowed_toy: Toys
) -> None:
    session = live(queries=2, fill="repeat")
    played = Played(session).play(100)
    np.testing.assert_array_equal(
        np.stack(played.stems), undisturbed(windowed_toy, 100, queries=2, fill="repeat")
    )
    assert played.trouble == [None] * 100


def test_the_thread_warms_up_before_its_first_window_and_is_waited_for(
    live: Callable[..., WindowedSession], script: Script
) -> None:
    gate, warmed = threading.Event(), []

    def warm_up() -> None:
        gate.wait(30.0)
        warmed.append((threading.current_thread().name, script.runs))
        raise RuntimeError  # as a device does that fails

    script.warm_up = warm_up
    session = live()
    assert session._thread is not None
    waiting = threading.Thread(target=session._thread.finish)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    gate.set()
    waiting.join(30.0)
    assert not waiting.is_alive()
    assert Played(session).play(60).trouble == [None] * 60
    assert warmed == [("soloist-windows", 0)]


@pytest.mark.parametrize(
    ("act", "trouble"),
    [
        (lambda masks: np.full_like(masks, np.nan), "numbers"),
        (lambda masks: masks / np.float32(0.0), "numbers"),
        (lambda masks: 1 // 0, "error"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_a_window_that_fails_is_held_over_and_the_next_is_good(
    live: Callable[..., WindowedSession],
    script: Script,
    windowed_toy: Toys,
    act: Callable[[Any], Any],
    trouble: str,
) -> None:
    script.at[3] = act
    session = live()
    played = Played(session).play(160)
    first, good = due(session, 3), due(session, 4)
    assert set(played.trouble[first:good]) == {trouble}
    check_gap(played, undisturbed(windowed_toy, 160), first, good)


def test_a_window_that_comes_late_is_dropped(
    live: Callable[..., WindowedSession], script: Script, windowed_toy: Toys
) -> None:
    """Late by an advance and a half; the one after it is begun too late, and left out."""
    gate = threading.Event()

    def wait(masks: Any) -> Any:
        gate.wait(30.0)
        return masks

    script.at[3] = wait
    session = live()
    first = due(session, 3)
    played = Played(session).play(first - session.schedule.compute)
    played.play(session.schedule.compute + 8, wait=False)
    assert played.trouble[first:] == ["late"] * 8
    gate.set()
    settle(session)
    played.play(150)
    good = due(session, 5)
    check_gap(played, undisturbed(windowed_toy, len(played.stems)), first, good)


def test_a_long_stall_is_recovered_from(
    live: Callable[..., WindowedSession], script: Script, windowed_toy: Toys
) -> None:
    gate = threading.Event()

    def wait(masks: Any) -> Any:
        gate.wait(30.0)
        return masks

    script.at[3] = wait
    session = live()
    first = due(session, 3)
    played = Played(session).play(first - session.schedule.compute)
    played.play(session.schedule.compute + SECOND, wait=False)
    gate.set()
    stalled = len(played.stems)
    launches = stalled - session.schedule.first_launch
    played.play(-launches % session.schedule.advance + 1, wait=False)  # up to the next launch
    settle(session)
    played.play(100)
    good = played.trouble.index(None, stalled)
    assert good <= stalled + 2 * session.schedule.advance
    check_gap(played, undisturbed(windowed_toy, len(played.stems)), first, good)


def test_reset_while_a_window_is_being_made(
    live: Callable[..., WindowedSession], script: Script, windowed_toy: Toys
) -> None:
    """What is made for the stream before is not used in the new one, nor in the way of it."""
    gate, begun = threading.Event(), threading.Event()

    def wait(masks: Any) -> Any:
        begun.set()
        gate.wait(30.0)
        return masks

    script.at[2] = wait
    session = live(fill="repeat")
    first = Played(session)
    first.play(due(session, 2) - session.schedule.compute)
    first.play(1, wait=False)
    assert begun.wait(30.0)
    session.reset()
    again = Played(session)
    again.play(session.schedule.first_launch, wait=False)
    gate.set()
    again.play(100)
    np.testing.assert_array_equal(
        np.stack(again.stems), undisturbed(windowed_toy, len(again.stems), fill="repeat")
    )
    assert set(again.trouble) == {None}


def test_a_session_that_is_forgotten_takes_its_thread_along(
    script: Script, windowed_toy: Toys
) -> None:
    before = set(threading.enumerate())
    session = WindowedSession(windowed_toy().bundle, device="cpu")
    (thread,) = set(threading.enumerate()) - before
    del session
    gc.collect()
    thread.join(30.0)
    assert not thread.is_alive()


def hang_at_once(script: Script) -> tuple[threading.Event, threading.Event]:
    """The first window hangs until the first event, and sets the second when it has begun."""
    gate, begun = threading.Event(), threading.Event()

    def hang(masks: Any) -> Any:
        begun.set()
        gate.wait(30.0)

    script.at[0] = hang
    return gate, begun


def test_who_collects_a_forgotten_session_does_not_wait_for_its_thread(
    script: Script, windowed_toy: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = hang_at_once(script)
    before = set(threading.enumerate())
    session = WindowedSession(windowed_toy().bundle, device="cpu")
    (thread,) = set(threading.enumerate()) - before
    Played(session).play(session.schedule.first_launch + 1, wait=False)
    assert begun.wait(30.0)
    waited: list[float | None] = []
    monkeypatch.setattr(thread, "join", waited.append)
    forgotten = weakref.ref(session)
    del session
    gc.collect()
    assert forgotten() is None
    assert not waited
    monkeypatch.undo()
    gate.set()
    thread.join(30.0)
    assert not thread.is_alive()


def test_close_gives_up_on_a_network_that_hangs(script: Script, windowed_toy: Toys) -> None:
    gate, begun = hang_at_once(script)
    session = WindowedSession(windowed_toy().bundle, device="cpu")
    Played(session).play(session.schedule.first_launch + 1, wait=False)
    assert begun.wait(30.0)
    assert not session.close(limit_s=0.05)
    gate.set()
    assert session.close(limit_s=30.0)
