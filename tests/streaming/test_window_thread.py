"""The windows' own thread: in time it changes nothing, and whatever happens to it is survived."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.network import MaskNetwork
from soloist.streaming import windowed
from soloist.streaming.held import HeldMasks
from soloist.streaming.stft import StreamingSTFT
from soloist.streaming.windowed import WindowedSession

Toys = Callable[..., Any]
Audio = NDArray[np.float32]

HOP = 16
SECOND = 1000  # hops: 16 samples at 16 kHz


class Script:
    """What the network of a session is to do: `at[n]` is called with the masks of its n-th run."""

    def __init__(self) -> None:
        self.runs = 0
        self.at: dict[int, Callable[[Any], Any]] = {}

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
    """Hop by hop what a session gave: stems, mixture, trouble, lost."""

    def __init__(self, session: WindowedSession) -> None:
        self.session = session
        self._stft = StreamingSTFT(session.spec.frames, len(session.spectrum))
        self._rng = np.random.default_rng(0)
        self.stems: list[Any] = []
        self.mixture: list[Any] = []
        self.trouble: list[str | None] = []
        self.lost: list[bool] = []

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
            self.mixture.append(session.mixture.copy())
            self.trouble.append(session.trouble)
            self.lost.append(session.lost)
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


def check_recovery(played: Played, expected: NDArray[np.float32], first: int, good: int) -> None:
    """Held from hop `first` on, the next good window from `good` on, and soon as if nothing was."""
    stems, mixture = np.stack(played.stems), np.stack(played.mixture)[:, :, None]
    np.testing.assert_array_equal(stems[:first], expected[:first])
    held = played.session.schedule.advance
    masks = stems[first - 1, ..., :1] / mixture[first - 1, ..., :1]  # of the real parts
    np.testing.assert_allclose(
        stems[first : first + held], masks * mixture[first : first + held], rtol=1e-4, atol=1e-5
    )
    back = good + round(HeldMasks.RETURN_SECONDS * SECOND) + 1
    np.testing.assert_array_equal(stems[back:], expected[back:])
    assert good - first < back - first < SECOND
    assert [t is None for t in played.trouble] == [
        not first <= hop < good for hop in range(len(stems))
    ]


def test_a_thread_that_keeps_up_gives_what_waiting_gives(
    live: Callable[..., WindowedSession], windowed_toy: Toys
) -> None:
    session = live(queries=2, fill="repeat")
    played = Played(session).play(100)
    np.testing.assert_array_equal(
        np.stack(played.stems), undisturbed(windowed_toy, 100, queries=2, fill="repeat")
    )
    assert played.trouble == [None] * 100


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
    assert not any(played.lost)
    check_recovery(played, undisturbed(windowed_toy, 160), first, good)


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
    check_recovery(played, undisturbed(windowed_toy, len(played.stems)), first, good)


def test_a_stall_fades_to_silence_and_is_recovered_from(
    live: Callable[..., WindowedSession], script: Script, windowed_toy: Toys
) -> None:
    gate = threading.Event()

    def wait(masks: Any) -> Any:
        gate.wait(30.0)
        return masks

    script.at[3] = wait
    session = live()
    first = due(session, 3)
    gone = round((HeldMasks.HOLD_SECONDS + HeldMasks.FADE_SECONDS) * SECOND)
    played = Played(session).play(first - session.schedule.compute)
    played.play(session.schedule.compute + gone + 100, wait=False)
    assert [played.lost.index(True), played.lost.index(True) + 100] == [
        first + round(HeldMasks.HOLD_SECONDS * SECOND),
        first + gone,
    ]
    assert not np.stack(played.stems[first + gone :]).any()
    levels = [np.abs(stems).mean() for stems in played.stems[first + gone - 100 : first + gone]]
    assert np.polyfit(range(100), levels, 1)[0] < 0
    gate.set()
    stalled = len(played.stems)
    launches = stalled - session.schedule.first_launch
    played.play(-launches % session.schedule.advance + 1, wait=False)  # up to the next launch
    settle(session)
    played.play(400)
    expected = undisturbed(windowed_toy, len(played.stems))
    good = played.trouble.index(None, stalled)
    assert good <= stalled + 2 * session.schedule.advance + session.schedule.compute
    back = good + round(HeldMasks.RETURN_SECONDS * SECOND) + 1
    np.testing.assert_array_equal(np.stack(played.stems)[back:], expected[back:])
    assert not any(played.lost[good:])


def test_without_a_first_window_there_is_nothing_to_hold(
    live: Callable[..., WindowedSession], script: Script
) -> None:
    script.at[0] = script.at[1] = lambda masks: 1 // 0
    session = live()
    played = Played(session).play(due(session, 2))
    assert all(played.lost[due(session, 0) :])
    assert not any(played.lost[: due(session, 0)])
    assert not np.stack(played.stems).any()


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


def test_close_gives_up_on_a_network_that_hangs(script: Script, windowed_toy: Toys) -> None:
    gate, begun = threading.Event(), threading.Event()

    def hang(masks: Any) -> Any:
        begun.set()
        gate.wait(30.0)

    script.at[0] = hang
    session = WindowedSession(windowed_toy().bundle, device="cpu")
    Played(session).play(session.schedule.first_launch + 1, wait=False)
    assert begun.wait(30.0)
    assert not session.close(limit_s=0.05)
    gate.set()
    assert session.close(limit_s=30.0)
