"""Bad numbers and a network that fails: what is heard, what is counted, and that it passes."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession, Session
from soloist.runtime.spec import Spec
from soloist.streaming.guard import FADE_SECONDS, HOLD_SECONDS
from soloist.streaming.processor import Outputs, Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]
Noise = Callable[..., Audio]
Ready = Callable[..., Processor]
Recurrent = Callable[..., PassThroughSession]
MakeSpec = Callable[..., Spec]

HOP = 128
RATE = 48_000
HOLD_HOPS = round(HOLD_SECONDS * RATE / HOP)
FADE_HOPS = round(FADE_SECONDS * RATE / HOP)
bad_values = st.sampled_from([np.nan, np.inf, -np.inf])


class Faulty(PassThroughSession):
    """Passes 0.3 of the input through and fails as told in some of its steps."""

    def __init__(self, spec: Spec, faults: range, fault: str) -> None:
        super().__init__(spec, weights=[0.3])
        self.faults, self.fault, self.steps, self.resets = faults, fault, 0, 0

    def step(self) -> None:
        super().step()
        self.steps += 1
        if self.steps - 1 not in self.faults:
            return
        match self.fault:
            case "nan":
                self.stems[0, 0, 3] = np.nan
            case "infinite":
                self.stems[0, 0, 100, 1] = -np.inf
            case "absurd":
                self.stems *= np.float32(1000)  # +60 dB
            case "error":
                self.stems *= np.float32(1000)  # half written
                raise RuntimeError("out of memory, say")

    def reset(self) -> None:
        self.resets += 1


FAULTS = ("nan", "infinite", "absurd", "error")


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 2 * 1500 - 1),
        st.one_of(bad_values, st.just(3e38), st.just(-1e7)),
        min_size=1,
        max_size=20,
    )
)
def test_bad_input_counts_as_zeros(
    ready: Ready,
    recurrent: Recurrent,
    make_spec: MakeSpec,
    play: Play,
    noise: Noise,
    bad: dict[int, float],
) -> None:
    clean, spoilt = noise(1500, channels=2), noise(1500, channels=2)
    for at, value in bad.items():
        spoilt.flat[at], clean.flat[at] = value, 0.0
    for mode in ("keep", "remove"):
        expected, given = ready(recurrent(make_spec(), channels=2)), spoilt.copy()
        processor = ready(recurrent(make_spec(), channels=2))
        for each in (expected, processor):
            getattr(each, mode)()
        assert (play(processor, given, [100]) == play(expected, clean)).all()
        assert processor.counters.bad_input == len(bad)
        assert processor.counters.faults == 0
        np.testing.assert_array_equal(given, spoilt)  # the host's own block is left alone


@pytest.mark.parametrize("fault", FAULTS)
def test_a_short_fault_is_not_heard(
    make_spec: MakeSpec, play: Play, noise: Noise, error_db: Callable[..., float], fault: str
) -> None:
    """The last good masks are held, and where the masks stand still nothing is lost at all."""
    session = Faulty(make_spec(), range(30, 30 + HOLD_HOPS), fault)
    processor = Processor(session)
    processor.prepare(RATE, HOP, 1, block=HOP)
    audio = noise(100 * HOP)
    out = play(processor, audio, [HOP])
    counters = processor.counters
    assert counters.faults == HOLD_HOPS
    assert counters.errors == (HOLD_HOPS if fault == "error" else 0)
    assert counters.absurd == (HOLD_HOPS if fault == "absurd" else 0)
    assert session.resets == 1 + HOLD_HOPS
    # Bins with next to nothing in them are held a little low, hence not -120 dB.
    assert error_db(out[HOP:], np.float32(0.3) * audio[:-HOP]) < -55


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("fallback", "level"), [("dry", 1.0), ("silence", 0.0)])
def test_a_long_fault_fades_to_the_fallback_and_back(
    make_spec: MakeSpec, play: Play, fault: str, fallback: Any, level: float
) -> None:
    """On a steady input the output is the gain itself: no jump, and within 1 s all as before."""
    first, last = 30, 30 + HOLD_HOPS + 60
    processor = Processor(Faulty(make_spec(), range(first, last), fault), fallback=fallback)
    processor.prepare(RATE, HOP, 1, block=HOP)
    steady = np.ones((HOP * 200, 1), np.float32)
    out = play(processor, steady, [HOP])[:, 0]
    assert processor.counters.faults == last - first
    settled = first + HOLD_HOPS + FADE_HOPS + 1
    assert np.abs(out[settled * HOP : (last - 1) * HOP] - level).max() < 1e-6
    back = (last + 2) * HOP
    assert np.abs(out[back:] - 0.3).max() < 1e-6
    # The steepest: the stems are back within a hop, along half a Hann window.
    assert np.abs(np.diff(out[2 * HOP :])).max() < 1.01 * np.pi / 2 * abs(level - 0.3) / HOP


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_no_trace(
    make_spec: MakeSpec, ready: Ready, recurrent: Recurrent, play: Play, noise: Noise, fault: str
) -> None:
    """Noise, then silence until the analysis window has forgotten it, then a fault in the state."""

    class Broken(recurrent):  # type: ignore[misc, valid-type]
        def step(self) -> None:
            super().step()
            if self.steps == 25:
                self._state.fill({"nan": np.nan, "infinite": np.inf}.get(fault, 7.0))
                if fault == "error":
                    raise MemoryError
                self.stems.fill(1e6 if fault == "absurd" else np.nan)

    before, after = noise(16 * HOP), noise(375 * HOP, seed=1)
    processor = ready(Broken(make_spec()), block=HOP)
    play(processor, before)
    play(processor, np.zeros((9 * HOP, 1), np.float32))
    assert processor.counters.faults == 1
    found = play(processor, after)
    expected = play(ready(recurrent(make_spec()), block=HOP), after)
    assert (found[RATE // 2 :] == expected[RATE // 2 :]).all()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_is_broken_from_the_start_is_a_bypass(
    make_spec: MakeSpec, play: Play, noise: Noise, error_db: Callable[..., float], fault: str
) -> None:
    audio = noise(40 * HOP)
    both: tuple[Outputs, ...] = ("mix", "stems")
    for outputs in both:
        session = Faulty(make_spec(), range(40), fault)
        processor = Processor(session, outputs=outputs)
        processor.prepare(RATE, HOP, 1, block=HOP)
        out = play(processor, audio, [HOP])
        heard = out if outputs == "mix" else out[1]
        assert error_db(heard[HOP:], audio[:-HOP]) < -120
        if outputs == "stems":
            assert not out[0].any()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_not_louder_than_the_settings(
    make_spec: MakeSpec, play: Play, noise: Noise, fault: str
) -> None:
    processor = Processor(Faulty(make_spec(), range(3, 90), fault))
    processor.prepare(RATE, HOP, 1, block=HOP)
    processor.set_gains(0.0, 0.0)
    assert not play(processor, noise(100 * HOP), [HOP]).any()


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.integers(0, 30), bad_values, min_size=1, max_size=8),
    st.lists(st.integers(1, 500), min_size=1, max_size=8),
)
def test_no_fault_breaks_the_sum_or_the_partition(
    ready: Ready,
    recurrent: Recurrent,
    make_spec: MakeSpec,
    play: Play,
    noise: Noise,
    error_db: Callable[..., float],
    faults: dict[int, float],
    blocks: list[int],
) -> None:
    audio = noise(31 * HOP, channels=2)

    def run(sizes: list[int]) -> Audio:
        session = recurrent(make_spec(queries=2), channels=2, faults=faults)
        processor = ready(session, outputs="stems")
        out = play(processor, audio, sizes)
        assert processor.counters.faults == len(faults)
        delay = processor.latency_samples
        assert error_db(out.sum(axis=0)[delay:], audio[:-delay]) < -120
        return out

    assert (run(blocks) == run([100])).all()


def test_quiet_stems_of_nothing_are_no_fault(make_spec: MakeSpec, play: Play) -> None:
    """A network may ring a little in silence, below -60 dBFS."""

    class Humming(PassThroughSession):
        def step(self) -> None:
            self.stems.fill(1e-3)

    processor = Processor(Humming(make_spec()))
    processor.prepare(RATE, HOP, 1, block=HOP)
    assert play(processor, np.zeros((10 * HOP, 1), np.float32), [HOP]).any()
    assert processor.counters.faults == 0


@pytest.mark.parametrize("quiet", [0.0, 1e-6, 1e-5])
def test_masks_of_next_to_nothing_are_held_no_louder_than_12_db(
    make_spec: MakeSpec, play: Play, quiet: float
) -> None:
    """A network with a noise floor of its own fails as a loud sound begins."""
    random = np.random.default_rng(0)

    class Floor(PassThroughSession):
        fails = False

        def step(self) -> None:
            super().step()
            self.stems += 2e-3 * random.standard_normal(self.stems.shape).astype(np.float32)
            if self.fails:
                raise RuntimeError

    session = Floor(make_spec())
    processor = Processor(session)
    processor.prepare(RATE, HOP, 1, block=HOP)
    before = quiet * random.standard_normal((100 * HOP, 1)).astype(np.float32)
    play(processor, before, [HOP])
    session.fails = True
    sine = 0.5 * np.sin(2 * np.pi * 440 / RATE * np.arange(20 * HOP, dtype=np.float32))[:, None]
    assert np.abs(play(processor, sine, [HOP])).max() <= 0.5 * 10 ** (12 / 20) * 1.5


def test_nothing_is_printed_or_raised_by_overflow(
    ready: Ready, make_spec: MakeSpec, play: Play
) -> None:
    """Warnings are errors in these tests; in a callback they would be lines on the terminal."""
    processor = ready(PassThroughSession(make_spec(), weights=[1e38]))
    loud = np.full((10 * HOP, 1), 9e5, np.float32)
    out = play(processor, loud)
    assert np.isfinite(out).all()
    assert processor.counters.faults == 10


def test_a_real_network_recovers(toy_bundle: Any, play: Play, noise: Noise) -> None:
    """onnxruntime's own state is reset, too: after a while of NaN the stems are back."""
    toy = toy_bundle()
    session = Session(toy.bundle, device="cpu", conditioning=toy.conditioning)
    processor = Processor(session)
    processor.prepare(48_000, 512, 1, block=HOP)
    audio = noise(20 * HOP)
    expected = play(processor, audio)
    session.set_conditioning(np.full_like(toy.conditioning, np.nan))
    assert np.isfinite(play(processor, audio)).all()
    assert processor.counters.faults == 20
    session.set_conditioning(toy.conditioning)
    processor.reset()
    assert (play(processor, audio) == expected).all()


class Stalling(PassThroughSession):
    """Takes a while in some of its steps."""

    def __init__(self, spec: Spec, stalls: dict[int, float]) -> None:
        super().__init__(spec, weights=[0.3])
        self.stalls, self.steps = stalls, 0

    def step(self) -> None:
        super().step()
        time.sleep(self.stalls.get(self.steps, 0.0))
        self.steps += 1


@pytest.mark.parametrize(("fallback", "level"), [("dry", 1.0), ("silence", 0.0)])
def test_a_stall_is_held_then_fades_and_passes(
    make_spec: MakeSpec, play: Play, fallback: Any, level: float
) -> None:
    """Blocks of 64 hops, so that only the stall can make one late on a busy machine."""
    block = 64 * HOP
    session = Stalling(make_spec(), {64 + 9: 0.5})
    processor = Processor(session, fallback=fallback)
    processor.prepare(RATE, block, 1, block=block, realtime=True)
    steady = np.ones((8 * block, 1), np.float32)
    out = play(processor, steady, [block])[:, 0]
    # The rest of its block, and the next block, whose time it has used up as well.
    assert processor.counters.late == (64 - 10) + 64
    assert session.steps == 8 * 64 - processor.counters.late
    assert processor.counters.faults == 0
    held = slice(2 * HOP, block + (9 + HOLD_HOPS) * HOP)
    assert np.abs(out[held] - 0.3).max() < 1e-3
    gone = slice(block + (10 + HOLD_HOPS + FADE_HOPS + 1) * HOP, 3 * block)
    assert np.abs(out[gone] - level).max() < 1e-6
    assert np.abs(out[3 * block + 2 * HOP :] - 0.3).max() < 1e-6
    # The steepest: the stems are back within a hop, along half a Hann window.
    assert np.abs(np.diff(out[2 * HOP :])).max() < 1.01 * np.pi / 2 * abs(level - 0.3) / HOP


@pytest.mark.parametrize(
    ("hop", "seconds", "late"), [(64 + 40, 0.2, 63 - 40), (64 + 2, 0.4, 63 - 2 + 64)]
)
def test_within_a_second_of_a_stall_it_is_as_a_fresh_engine(
    make_spec: MakeSpec,
    recurrent: Recurrent,
    play: Play,
    noise: Noise,
    hop: int,
    seconds: float,
    late: int,
) -> None:
    """To the bit, whether the network kept its memory over a short stall or began anew."""

    class Slow(recurrent):  # type: ignore[misc, valid-type]
        def step(self) -> None:
            time.sleep(seconds if self.steps == hop else 0.0)
            super().step()

    block, audio = 64 * HOP, noise(14 * 64 * HOP)
    processor = Processor(Slow(make_spec()))
    processor.prepare(RATE, block, 1, block=block, realtime=True)
    found = play(processor, audio, [block])
    assert processor.counters.late == late
    fresh = Processor(recurrent(make_spec()))
    fresh.prepare(RATE, block, 1, block=block)
    expected = play(fresh, audio[4 * block :], [block])
    np.testing.assert_array_equal(found[4 * block + RATE :], expected[RATE:])


def test_after_a_long_stall_the_network_begins_anew(make_spec: MakeSpec, play: Play) -> None:
    """What it remembered is as old as the masks that are no longer held; not so after a short."""

    class Counting(Stalling):
        resets = 0

        def reset(self) -> None:
            self.resets += 1

    for hops, anew in ((8, False), (64, True)):
        session = Counting(make_spec(), {hops + 1: 0.4})
        processor = Processor(session)
        processor.prepare(RATE, hops * HOP, 1, block=hops * HOP, realtime=True)
        before = session.resets
        play(processor, np.ones((4 * hops * HOP, 1), np.float32), [hops * HOP])
        assert processor.counters.late > 0
        assert (session.resets > before) == anew


def test_files_wait_for_a_slow_network(make_spec: MakeSpec, play: Play) -> None:
    session = Stalling(make_spec(), {3: 0.05})
    processor = Processor(session)
    processor.prepare(RATE, HOP, 1, block=HOP)
    play(processor, np.ones((20 * HOP, 1), np.float32), [HOP])
    assert processor.counters.late == 0
    assert session.steps == 20
