"""The worker schedule against the processor within the callback, and what it does when late."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.streaming.live.worker import Worker
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]
Make = Callable[..., Any]

HOP = 16
BLOCK = 2 * HOP
DELAY = BLOCK + HOP  # the worker's and the overlap
RATE = 48_000


class Gate(PassThroughSession):
    """Passes through while it is open; else a hop takes until it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def step(self) -> None:
        self.entered.set()
        self.open.wait(10)
        super().step()


@pytest.fixture
def gate(toy_bundle: Make) -> Gate:
    return Gate(toy_bundle(hop=HOP).spec, channels=2)


OpenWorker = Callable[..., Worker]


@pytest.fixture
def open_worker(gate: Gate) -> Iterator[OpenWorker]:
    """`open_worker(realtime)`: over a processor that passes on, a hop late, blocks of two hops."""
    opened: list[Worker] = []
    faults: list[Exception] = []

    def open_(realtime: bool = False) -> Worker:
        processor = Processor(gate)
        processor.prepare(RATE, 64, 2, block=BLOCK, realtime=realtime)
        opened.append(Worker(processor, 2, 64, RATE, faults.append))
        opened[0].arm(BLOCK, BLOCK)
        return opened[0]

    yield open_
    assert opened[0].close()
    assert not faults


def noise(frames: int) -> Audio:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (frames, 2)).astype(np.float32)


def played(worker: Worker, audio: Audio) -> Audio:
    out = np.full_like(audio, 7.0)
    worker.process(audio, out)
    return out


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_the_same_samples_as_inline_but_later(data: st.DataObject, toy_bundle: Make) -> None:
    """To the bit, whatever the blocks; by one block where they are of one size, and else by as much
    as the longest block so far, from which on there is no further gap."""
    toy = toy_bundle(hop=HOP).bundle
    fixed = data.draw(st.booleans(), "fixed")
    size = data.draw(st.integers(1, 100), "size")
    sizes = [size] * 12 if fixed else data.draw(st.lists(st.integers(1, size), max_size=12))
    audio = noise(size + sum(sizes))
    block = size if fixed else None
    inline = Processor(toy)
    inline.prepare(RATE, 64, 2, block=size if fixed and size <= 64 else None)
    inline.set_block(block)
    expected = np.empty_like(audio)
    processor = Processor(toy)
    processor.prepare(RATE, 64, 2)
    worker = Worker(processor, 2, 64, RATE, lambda _: None)
    worker.waits = True
    worker.arm(block, size)
    heard = np.empty_like(audio)
    at = 0
    for frames in (size, *sizes):
        part = slice(at, at + frames)
        inline.process(audio[part], expected[part])
        worker.process(audio[part], heard[part])
        at += frames
    assert worker.close()
    assert worker.delay == size
    assert not heard[:size].any()
    np.testing.assert_array_equal(heard[size:], expected[: len(expected) - size])
    assert processor.counters.dropped == 0


def caught_up(worker: Worker) -> None:
    """Waits until the thread has nothing left to do."""
    deadline = time.monotonic() + 10
    while worker._made < worker._written:
        assert time.monotonic() < deadline
        time.sleep(1e-4)


def test_late_blocks_are_dropped_and_the_delay_stays(open_worker: OpenWorker, gate: Gate) -> None:
    worker = open_worker()
    audio = noise(80 * BLOCK)
    heard = []
    for number in range(80):
        if number == 20:
            gate.open.clear()
        if number == 25:
            gate.open.set()
            caught_up(worker)
        heard.append(played(worker, audio[number * BLOCK :][:BLOCK]))
        if not 20 <= number < 25:
            caught_up(worker)
    out = np.concatenate(heard)
    assert worker._counters.dropped == 4  # of the first that stalled, the one before was there
    # Each sample is at its place, but for those that were late, and the fade after them.
    expected = np.roll(audio, DELAY, axis=0)
    expected[:DELAY] = 0.0
    before, after = slice(0, 21 * BLOCK), slice(25 * BLOCK + 64, None)
    np.testing.assert_allclose(out[before], expected[before], atol=1e-6)
    np.testing.assert_allclose(out[after], expected[after], atol=1e-6)
    # In between the sound fades from its last sample to silence, and in again.
    faded = np.linspace(1.0, 0.0, 64, dtype=np.float32)[:, None] * out[21 * BLOCK - 1]
    np.testing.assert_allclose(out[21 * BLOCK :][:64], faded, atol=1e-6)
    assert not out[21 * BLOCK + 64 : 25 * BLOCK].any()
    risen = expected[25 * BLOCK :][:64] * np.linspace(0.0, 1.0, 64)[:, None]
    np.testing.assert_allclose(out[25 * BLOCK :][:64], risen, atol=1e-6)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 80), st.floats(0.0, 1.0)), min_size=1, max_size=40),
    st.integers(1, 2),
)
def test_nothing_clicks_whatever_is_missing(
    toy_bundle: Make, blocks: list[tuple[int, float]], channels: int
) -> None:
    """A constant, of whose blocks only a first part is there: no step is larger than two fades'."""
    processor = Processor(PassThroughSession(toy_bundle(hop=HOP).spec, channels=channels))
    processor.prepare(RATE, 80, channels)
    worker = Worker(processor, channels, 80, RATE, lambda _: None)
    parts = [np.ones((100, channels), np.float32)]
    for frames, there in blocks:
        out = np.ones((frames, channels), np.float32)
        worker._smooth(out, 0, round(there * frames))
        parts.append(out)
    assert worker.close()
    heard = np.concatenate(parts[1:])
    assert np.abs(np.diff(heard, axis=0)).max(initial=0.0) <= 2 / 63 + 1e-6
    assert heard.min() >= 0.0
    assert heard.max() <= 1.0 + 1e-6


def test_the_oldest_of_a_longer_backlog_is_left_out(open_worker: OpenWorker, gate: Gate) -> None:
    """More than four of the largest blocks behind, that is, of 64 frames."""
    worker = open_worker()
    gate.open.clear()
    audio = noise(40 * BLOCK)
    for at in range(0, len(audio), BLOCK):
        played(worker, audio[at : at + BLOCK])
    gate.open.set()
    caught_up(worker)
    assert worker._counters.hops <= 2 + 4 * 64 // HOP
    later = noise(20 * BLOCK)
    heard = []
    for at in range(0, len(later), BLOCK):
        heard.append(played(worker, later[at : at + BLOCK]))
        caught_up(worker)
    out = np.concatenate(heard)
    np.testing.assert_allclose(out[DELAY + 64 :], later[64:-DELAY], atol=1e-6)


def test_another_size_amid_a_backlog(open_worker: OpenWorker, gate: Gate) -> None:
    """Its first block is among those that are left out."""
    worker = open_worker()
    gate.open.clear()
    played(worker, noise(BLOCK))
    assert gate.entered.wait(10)
    size = HOP + HOP // 2
    worker.arm(size, size)
    for _ in range(20):
        played(worker, noise(size))
    gate.open.set()
    caught_up(worker)
    audio = noise(20 * size)
    heard = []
    for at in range(0, len(audio), size):
        heard.append(played(worker, audio[at : at + size]))
        caught_up(worker)
    delay = size + HOP + HOP // 2  # the worker's, the overlap, the adapter's
    out = np.concatenate(heard)
    np.testing.assert_allclose(out[delay + 64 :], audio[64:-delay], atol=1e-6)


def test_what_is_overdue_goes_without_the_network(open_worker: OpenWorker, gate: Gate) -> None:
    worker = open_worker(realtime=True)
    gate.open.clear()
    for _ in range(4):
        played(worker, noise(BLOCK))
    time.sleep(0.05)  # all are due by now
    gate.open.set()
    caught_up(worker)
    counters = worker._counters
    assert counters.hops == 8
    assert counters.late >= 6  # those of all blocks but the first, which may have been under way


def test_a_fault_is_told_and_silence_heard(toy_bundle: Make) -> None:
    processor = Processor(PassThroughSession(toy_bundle(hop=HOP).spec, channels=2))
    processor.prepare(RATE, 64, 2, block=HOP)
    faults: list[Exception] = []
    worker = Worker(processor, 2, 64, RATE, faults.append)
    worker.waits = True
    worker.arm(HOP, HOP)
    played(worker, noise(HOP))
    processor.release()
    assert not np.stack([played(worker, noise(HOP)) for _ in range(3)])[2:].any()
    assert worker.close()
    assert isinstance(faults[0], ValueError)
