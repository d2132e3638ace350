"""Trailing masks: which hop's masks are heard, by brute force; and that nothing is waited for."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError
from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Frames, Spec
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor
from soloist.streaming.stft import StreamingISTFT, StreamingSTFT
from soloist.streaming.trailing import TrailingSession

Audio = NDArray[np.float32]
Make = Callable[..., Any]

HOP, RATE = 16, 48_000
HOLD_HOPS, FADE_HOPS = 300, 60  # 100 ms, 20 ms
LIMIT_S = 10.0


class Counting(PassThroughSession):
    """Lets through another share in each hop, `share(number)` since the reset, and may be kept from
    going on, hop by hop; `bad` hops give what they say.
    """

    def __init__(
        self, *arguments: Any, bad: dict[int, float] | None = None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.bad = bad or {}
        self.number = self.resets = self.steps = 0
        self.allowed: threading.Semaphore | None = None
        self.stuck = threading.Event()

    def keep(self) -> threading.Semaphore:
        """From now on each step needs one of what is returned."""
        self.allowed = threading.Semaphore(0)
        return self.allowed

    def step(self) -> None:
        if self.allowed is not None:
            self.stuck.set()
            assert self.allowed.acquire(timeout=LIMIT_S)
        level = self.bad.get(self.steps, share(self.number))
        self.steps += 1
        self.number += 1
        if level == -1.0:
            raise RuntimeError("a network that fails")
        np.multiply(self.spectrum[:, None], np.float32(level), out=self.stems)

    def reset(self) -> None:
        self.number = 0
        self.resets += 1


def share(number: int) -> float:
    return 0.2 + 0.7 * (number * 7 % 10) / 10


def brute_force(frames: Frames, audio: Audio, shares: list[float]) -> Audio:
    """Hop by hop: each spectrum times its share, (samples, channels), a hop later than `audio`."""
    channels = audio.shape[1]
    stft, istft = StreamingSTFT(frames, channels), StreamingISTFT(frames, channels)
    spectrum = np.zeros((channels, frames.bins), np.complex64)
    out = np.zeros_like(audio)
    for number, level in enumerate(shares):
        hop = slice(number * HOP, (number + 1) * HOP)
        stft.newest[...] = audio[hop].T
        stft.analyse(spectrum)
        frame = np.zeros((channels, HOP), np.float32)
        istft.synthesise(np.complex64(level) * spectrum, frame)
        out[hop] = frame.T
        stft.advance()
    return out


@pytest.fixture(scope="module")
def spec(make_spec: Make) -> Spec:
    found: Spec = make_spec(n_fft=4 * HOP, hop=HOP)
    return found


@pytest.fixture
def opened() -> Iterator[Callable[..., Processor]]:
    """Processors with trailing masks, prepared for blocks of a hop, released after the test."""
    made: list[Processor] = []

    def open_(
        session: Any, *, realtime: bool = True, block: int = HOP, **options: Any
    ) -> Processor:
        made.append(Processor(session, trailing=True, **options))
        made[-1].prepare(
            RATE, 64 * HOP, len(session.spectrum), block=block or None, realtime=realtime
        )
        return made[-1]

    yield open_
    for processor in made:
        processor.release()


def trailing_of(processor: Processor) -> TrailingSession:
    session = processor._sessions.current
    assert isinstance(session, TrailingSession)
    return session


def finish(processor: Processor) -> None:
    """Let the network do all that it has been handed."""
    thread = trailing_of(processor)._thread
    assert thread is not None
    thread.finish()


def keep_up(processor: Processor, block: Audio, out: Audio, blocks: int) -> None:
    """Play a block so often, each when the network has done the one before."""
    for _ in range(blocks):
        processor.process(block, out)
        finish(processor)


def give_one(gate: threading.Semaphore, processor: Processor) -> None:
    """Let a network that is kept do one hop, and wait for what it makes of it."""
    maker = trailing_of(processor)._maker
    before, deadline = maker._found, time.monotonic() + LIMIT_S
    gate.release()
    while maker._found is before:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.integers(0, 5 * HOP), min_size=1, max_size=12),
    channels=st.integers(1, 2),
)
def test_masks_are_those_of_the_newest_hop_before_the_block(
    spec: Spec, sizes: list[int], channels: int
) -> None:
    """Blocks of any size, in any order; before there are masks there is silence."""
    processor = Processor(Counting(spec, channels=channels), trailing=True)
    processor.prepare(RATE, 5 * HOP, channels)
    audio = np.random.default_rng(1).normal(0.0, 0.1, (sum(sizes), channels)).astype(np.float32)
    out, shares, start = np.zeros_like(audio), [], 0
    for size in sizes:
        begun, end = start // HOP, start + size
        shares += [share(begun - 1) if begun else 0.0] * (end // HOP - begun)
        processor.process(audio[start:end], out[start:end])
        start = end
    delay = processor.latency_samples
    assert delay == processor.spec.frames.overlap + HOP - 1  # as without trailing masks
    expected = brute_force(spec.frames, audio, shares)
    # The adapter's own share of the delay: the engine's hops come so much later.
    late = np.zeros_like(audio)
    late[HOP - 1 :] = expected[: max(0, len(audio) - HOP + 1)]
    np.testing.assert_allclose(out, late, atol=1e-3)
    processor.release()


def test_nothing_is_waited_for_and_older_masks_are_heard(
    spec: Spec, opened: Callable[..., Processor]
) -> None:
    session = Counting(spec)
    processor = opened(session)
    steady, out = np.ones((HOP, 1), np.float32), np.zeros((HOP, 1), np.float32)

    def play() -> float:
        processor.process(steady, out)
        return float(out[-1, 0])

    played = 20
    for _ in range(played):
        play()
        finish(processor)
    assert processor.counters.late == 0
    gate = session.keep()
    play()  # its masks will not come
    assert session.stuck.wait(LIMIT_S)
    for number in range(1, 8):  # all under the masks of the hop before
        heard = play()
        assert processor.counters.late == number
    assert heard == pytest.approx(share(played - 1), abs=1e-3)
    # The network goes on hop by hop: its masks are new, though older than they should be.
    for _ in range(3):
        give_one(gate, processor)
        for _ in range(4):  # the overlap, and the last of a hop
            heard = play()
        assert heard == pytest.approx(share(session.number - 1), abs=1e-3)
    assert processor.counters.late == 7 + 3 * 4
    gate.release(1000)
    finish(processor)
    play()
    assert processor.counters.late == 7 + 3 * 4
    assert processor.counters.faults == 0


@pytest.mark.parametrize(("fallback", "level"), [("dry", 1.0), ("silence", 0.0)])
def test_masks_that_do_not_come_fade(
    spec: Spec, opened: Callable[..., Processor], fallback: str, level: float
) -> None:
    """As those of a network within the callback that has no time; then it begins anew."""
    session = Counting(spec)
    processor = opened(session, fallback=fallback)
    steady, out = np.ones((HOP, 1), np.float32), np.zeros((HOP, 1), np.float32)
    keep_up(processor, steady, out, 10)
    gate = session.keep()
    heard = []
    for _ in range(HOLD_HOPS + FADE_HOPS + 20):
        processor.process(steady, out)
        heard.append(out.copy())
        assert session.stuck.wait(LIMIT_S)  # at the first of them
    found = np.concatenate(heard)[4 * HOP :, 0]
    assert np.abs(found[: (HOLD_HOPS - 10) * HOP] - share(9)).max() < 1e-3
    assert np.abs(found[-10 * HOP :] - level).max() < 1e-6
    assert np.abs(np.diff(found)).max() < 0.01
    resets = session.resets
    gate.release(10**4)
    finish(processor)
    assert session.resets == resets + 1
    keep_up(processor, steady, out, 20)
    assert 0.1 < out[-1, 0] < 0.95


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, 1e6, -1.0], ids=["nan", "inf", "absurd", "error"]
)
def test_a_network_that_fails_is_held_and_begins_anew(
    spec: Spec, opened: Callable[..., Processor], value: float
) -> None:
    session = Counting(spec, bad={12: value})
    processor = opened(session)
    steady, out = np.ones((HOP, 1), np.float32), np.zeros((HOP, 1), np.float32)
    heard = []
    for number in range(40):
        processor.process(steady, out)
        heard.append(out.copy())
        finish(processor)
        if number == 9:
            resets = session.resets
    found = np.concatenate(heard)
    assert np.isfinite(found).all() and np.abs(found).max() <= 1.0
    counters = processor.counters
    assert (counters.faults, counters.errors) == (1, value == -1.0)
    assert counters.absurd == (value == 1e6)
    assert session.resets == resets + 1


def test_where_it_is_waited_for_it_is_as_on_a_machine_that_keeps_up(
    spec: Spec, opened: Callable[..., Processor], noise: Callable[..., Audio]
) -> None:
    class Slow(Counting):
        def step(self) -> None:
            time.sleep(0.002)
            super().step()

    audio = noise(30 * HOP, 1)
    expected, found = np.zeros_like(audio), np.zeros_like(audio)
    quick = opened(Counting(spec), realtime=False)
    slow = opened(Slow(spec))
    slow.set_realtime(False)
    for start in range(0, len(audio), HOP):
        quick.process(audio[start : start + HOP], expected[start : start + HOP])
        slow.process(audio[start : start + HOP], found[start : start + HOP])
    np.testing.assert_array_equal(found, expected)
    assert slow.counters.late == 0


def test_a_reset_forgets_all(
    spec: Spec, opened: Callable[..., Processor], noise: Callable[..., Audio]
) -> None:
    processor = opened(Counting(spec, channels=2), realtime=False)
    audio = noise(20 * HOP, 2)
    first, second = np.zeros_like(audio), np.zeros_like(audio)
    for out in (first, second):
        processor.reset()
        for start in range(0, len(audio), HOP):
            processor.process(audio[start : start + HOP], out[start : start + HOP])
    np.testing.assert_array_equal(first, second)
    assert np.abs(first).max() > 0.1


def test_masks_that_come_too_late_are_not_heard(
    spec: Spec, opened: Callable[..., Processor]
) -> None:
    """Once they are older than masks may be held, however new they are."""
    session = Counting(spec)
    processor = opened(session, fallback="silence")
    steady, out = np.ones((HOP, 1), np.float32), np.zeros((HOP, 1), np.float32)
    keep_up(processor, steady, out, 5)
    gate, steps = session.keep(), session.steps
    for _ in range(2 * (HOLD_HOPS + FADE_HOPS)):
        processor.process(steady, out)
        assert session.stuck.wait(LIMIT_S)  # at the first of them
    give_one(gate, processor)
    assert session.steps == steps + 1
    for _ in range(5):
        processor.process(steady, out)
        assert not out.any()
    gate.release(1000)
    finish(processor)
    keep_up(processor, steady, out, 5)
    assert out[-1, 0] > 0.1


def test_blocks_larger_than_promised_go_through_in_pieces(
    spec: Spec, noise: Callable[..., Audio]
) -> None:
    """Each under the masks of the piece before."""
    audio = noise(64 * HOP, 1)
    found, expected = np.zeros_like(audio), np.zeros_like(audio)
    for out, size in ((found, len(audio)), (expected, 2 * HOP)):
        processor = Processor(Counting(spec), trailing=True)
        processor.prepare(RATE, 2 * HOP, 1, realtime=True)
        processor.set_realtime(False)
        for start in range(0, len(audio), size):
            piece = slice(start, start + size)
            processor.process(audio[piece], out[piece])
        processor.release()
    np.testing.assert_array_equal(found, expected)


def test_pieces_of_a_block_in_a_row_are_all_computed(
    spec: Spec, opened: Callable[..., Processor]
) -> None:
    session = Counting(spec)
    processor = opened(session, block=0)
    finish(processor)  # with the warm-up
    gate, steps = session.keep(), session.steps
    for size in (6 * HOP, HOP, HOP // 4, HOP // 4, HOP // 2):
        block = np.ones((size, 1), np.float32)
        processor.process(block, block)
        assert session.stuck.wait(LIMIT_S)  # at the first of them
    gate.release(100)
    finish(processor)
    assert session.steps - steps == 8


def test_prepared_anew_it_no_longer_waits(spec: Spec) -> None:
    processor = Processor(Counting(spec), trailing=True)
    processor.prepare(RATE, 64 * HOP, 1, realtime=True)
    first = trailing_of(processor)
    processor.set_realtime(False)
    assert first.waits
    processor.prepare(RATE, 32 * HOP, 1, realtime=True)
    assert trailing_of(processor) is first  # what has room for more has room for less
    assert not trailing_of(processor).waits
    processor.release()
    assert first.close()  # it has ended


def test_where_it_cannot_be_prepared_it_is_not(spec: Spec) -> None:
    """Else it would go on with a network whose thread has ended."""
    processor = Processor(Counting(spec), trailing=True)
    processor.prepare(RATE, HOP, 1, realtime=True)
    with pytest.raises(ValueError, match="found sample rates"):
        processor.prepare(0, HOP, 1, realtime=True)
    with pytest.raises(ValueError, match="before prepare"):
        processor.process(np.zeros((HOP, 1), np.float32), np.zeros((HOP, 1), np.float32))
    processor.release()


def test_of_a_long_backlog_the_oldest_are_left_out(
    spec: Spec, opened: Callable[..., Processor]
) -> None:
    session = Counting(spec)
    processor = opened(session)
    block = np.ones((HOP, 1), np.float32)
    keep_up(processor, block, block.copy(), 5)
    gate, before = session.keep(), session.steps
    for _ in range(100):
        processor.process(block, block.copy())
        assert session.stuck.wait(LIMIT_S)  # at the first of them
    gate.release(1000)
    finish(processor)
    # The one it was at, and of the rest those that a block and a little more have.
    assert session.steps - before == 1 + 3


def test_other_words_are_heard_a_block_later(spec: Spec) -> None:
    """The conditioning of a hop is that of its masks."""
    session = PassThroughSession(spec)
    trailing = TrailingSession(session, hops=1, realtime=False)
    heard = []
    trailing.spectrum.fill(1.0)
    for number in range(6):
        if number == 2:
            trailing.set_conditioning(np.full((1, 1), 0.25, np.float32))
        trailing.begin_block()
        trailing.step()
        heard.append(float(trailing.stems[0, 0, 1, 0]))
    assert heard == pytest.approx([0.0, 1.0, 1.0, 0.25, 0.25, 0.25], abs=1e-4)
    with pytest.raises(ValueError, match="this session takes"):
        trailing.set_conditioning(np.zeros((2, 1), np.float32))
    assert trailing.close()


def test_a_windowed_bundle_has_none(windowed_toy: Make) -> None:
    with pytest.raises(BundleError, match="runs beside the audio thread anyway"):
        Processor(windowed_toy().bundle, trailing=True)


def test_the_shipped_model_is_the_same_under_the_masks_of_the_hop_before() -> None:
    """Against its own stems of each hop, from a processor that waits within the callback."""
    bundle = Bundle.open("solo")
    hop = bundle.spec.frames.hop
    audio = 0.1 * np.random.default_rng(3).standard_normal((200 * hop, 1)).astype(np.float32)
    audio *= np.linspace(0.2, 1.0, len(audio), dtype=np.float32)[:, None]
    trailing = Processor(bundle, trailing=True)
    heard = separate_array(trailing, audio, RATE, block_size=hop)
    inline = separate_array(Processor(bundle), audio, RATE)
    # Steady noise has masks that hardly change from hop to hop, but do change.
    difference = np.sqrt(np.mean((heard - inline) ** 2) / np.mean(inline**2))
    assert 1e-4 < difference < 0.5
    trailing.release()
