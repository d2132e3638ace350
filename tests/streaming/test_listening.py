"""What is heard, and what it does to the words, against the formulas in plain loops."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.listener import Listener, Opposition
from soloist.runtime.queries import baked_conditioning
from soloist.runtime.session import Session
from soloist.streaming.glide import Glide
from soloist.streaming.listening import Listening, Opposer, Presence, remember
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor

Floats = NDArray[np.float32]
Toys = Callable[..., Any]

HOP, RATE = 128, 48_000
EVERY, BUDGET = 19, 4  # hops of 50 and of 10 ms
TERMS = Opposition(
    share=0.5, bias=-0.2, lift=0.1, usual=-2.0, unlike=0.5, same=0.8, memory_s=0.5, offsets=2
)


def noise(hops: int, channels: int = 1, seed: int = 0) -> Floats:
    """Louder and softer, so that what is heard changes."""
    random = np.random.default_rng(seed)
    level = np.repeat(random.uniform(0.01, 0.5, hops), HOP)[:, None]
    return (level * random.standard_normal((hops * HOP, channels))).astype(np.float32)


@pytest.fixture
def bundle(toy_bundle: Toys) -> Bundle:
    found: Bundle = toy_bundle(queries=2, listens=True).bundle
    return found


def listener_of(bundle: Bundle) -> Listener:
    assert bundle.listener is not None
    return bundle.listener


def waiting(bundle: Bundle, words: Floats, queries: int) -> Listening:
    """One that is waited for."""
    found = Listening(bundle, listener_of(bundle), words, queries)
    found.waits = True
    return found


def oppose(classes: Floats, row: Floats, presence: Presence, terms: Opposition) -> NDArray[Any]:
    """One query's conditioning, as `Opposition` says it."""
    centre = classes.astype(float).mean(0)
    directions = [c - centre for c in classes.astype(float)]
    own = row.astype(float) - centre
    cosines = [own @ d / np.linalg.norm(own) / np.linalg.norm(d) for d in directions]
    weights = []
    for cosine, mean in zip(cosines, presence.mean, strict=True):
        itself = min(1.0, max(0.0, (cosine - terms.unlike) / (terms.same - terms.unlike)))
        weights.append(mean * (1 - itself))
    total = sum(weights) + 0.1
    found = row.astype(float)
    for weight, c in zip(weights, classes.astype(float), strict=True):
        found = found - terms.share * weight / total * c
    choice = np.exp(15 * np.array(cosines))
    there = float(np.clip(choice / choice.sum() @ presence.latest, 1e-3, 1 - 1e-3))
    z = np.clip(np.log(there / (1 - there)) - terms.usual, -4, 4)
    found[-terms.offsets :] += terms.bias + terms.lift * z
    return found


def test_presence_is_a_fading_mean_and_a_fading_maximum() -> None:
    heard = np.random.default_rng(1).uniform(0, 1, (9, 4)).astype(np.float32)
    presence = None
    for one in heard:
        presence = remember(presence, one, 0.7)
    assert presence is not None
    faded = 0.7 ** np.arange(8, -1, -1)[:, None]
    np.testing.assert_allclose(presence.mean, (faded * heard).sum(0) / faded.sum(), rtol=1e-5)
    np.testing.assert_allclose(presence.latest, (faded * heard).max(0), rtol=1e-5)


@given(seed=st.integers(0, 10_000), queries=st.integers(1, 3), negatives=st.integers(0, 2))
@settings(deadline=None)
def test_what_is_heard_is_taken_off_each_query(seed: int, queries: int, negatives: int) -> None:
    random = np.random.default_rng(seed)
    classes = random.standard_normal((6, 8)).astype(np.float32)
    rows = random.standard_normal((queries + negatives, 8)).astype(np.float32)
    rows[0] = classes[2] + 0.1 * rows[0]  # one that is a class itself
    mean, latest = random.uniform(0, 1, (2, 6)).astype(np.float32)
    presence = Presence(mean, 3.0, latest)
    given_rows = rows.copy()
    found = Opposer(classes, TERMS)(rows, queries, presence)
    np.testing.assert_array_equal(rows, given_rows)
    np.testing.assert_array_equal(found[queries:], rows[queries:])
    for row, one in zip(rows[:queries], found, strict=False):
        expected = oppose(classes, row, presence, TERMS)
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5)


def test_each_hop_is_asked_for_what_was_heard_before_the_budget(bundle: Bundle) -> None:
    listener = listener_of(bundle)
    classes = bundle.class_conditioning
    words = classes[:2].copy()
    beside = waiting(bundle, words, 2)
    audio = noise(4 * EVERY + 10, 2)
    found = []
    for hop in audio.reshape(-1, HOP, 2):
        beside.hear(np.ascontiguousarray(hop.T))
        found.append(beside.conditioning)
    opposer, presence, expected = Opposer(classes, TERMS), None, {}
    fading = float(np.exp(-0.05 / 0.5))
    mono = audio.mean(axis=1)
    for end in range(EVERY, len(found) + 1, EVERY):
        padded = np.concatenate([np.zeros(listener.samples, np.float32), mono[: end * HOP]])
        odds = listener(padded[-listener.samples :])
        there: Floats = np.float32(1) / (np.float32(1) + np.exp(-odds))
        presence = remember(presence, there, fading)
        expected[end + BUDGET - 1] = opposer(words, 2, presence)
    at = words
    for number, conditioning in enumerate(found):
        at = expected.get(number, at)
        np.testing.assert_allclose(conditioning, at, rtol=1e-4, atol=1e-5)
    assert np.abs(at - words).max() > 0.05
    assert presence is not None
    by_presence = sorted(zip(-presence.mean, listener.hearing.classes, strict=True))
    expected_names = [(name, -mean) for mean, name in by_presence[:3] if -mean >= 0.2]
    assert len(expected_names) > 0
    names, present = zip(*beside.heard, strict=True)
    assert names == tuple(name for name, _ in expected_names)
    np.testing.assert_allclose(present, [mean for _, mean in expected_names], rtol=1e-4)
    beside.reset()
    assert beside.heard == ()


def test_people_are_told_likely_classes_in_words(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Presences are odds of 1/9, 1/3, 1, 3, 9, ... to 1."""
    odds = np.log(3.0) * np.arange(-2, len(bundle.class_conditioning) - 2)
    monkeypatch.setattr(Listener, "__call__", lambda *_: odds.astype(np.float32))
    processor = Processor(bundle)
    told = [processor.heard]
    processor.prepare(RATE, 4096, 1)
    told.append(processor.heard)
    audio = noise(64)
    processor.process(audio, np.empty_like(audio))
    told.append(processor.heard)
    processor.release()
    told.append(Processor(bundle, listens=False).heard)
    assert [told[0], told[1], told[3]] == [None, (), None]
    assert [name for name, _ in told[2] or ()] == ["water", "siren", "bird"]


def test_a_listener_changes_the_sound_and_can_be_left_out(bundle: Bundle, toy_bundle: Toys) -> None:
    audio = noise(200, 2)
    heard = separate_array(Processor(bundle), audio, RATE)
    deaf = separate_array(Processor(bundle, listens=False), audio, RATE)
    np.testing.assert_array_equal(deaf, separate_array(toy_bundle(queries=2).bundle, audio, RATE))
    assert np.abs(heard - deaf).max() > 1e-3
    before = (EVERY + BUDGET - 1) * HOP - 2 * HOP  # nothing has been heard so far
    np.testing.assert_array_equal(heard[:before], deaf[:before])


def test_beside_a_session_made_elsewhere_it_listens_where_the_words_are_known(
    bundle: Bundle,
) -> None:
    audio = noise(200)
    words = baked_conditioning(bundle)

    def play(**told: Any) -> NDArray[np.float32]:
        return separate_array(Processor(Session(bundle, device="cpu"), **told), audio, RATE)

    heard, deaf = (
        separate_array(Processor(bundle, listens=listens), audio, RATE) for listens in (True, False)
    )
    np.testing.assert_array_equal(play(conditioning=words), heard)
    for told in ({}, {"conditioning": words, "listens": False}):
        np.testing.assert_array_equal(play(**told), deaf)


@pytest.mark.parametrize("trailing", [False, True])
def test_a_session_made_elsewhere_is_left_with_the_words_that_were_asked_for(
    bundle: Bundle, trailing: bool
) -> None:
    words = baked_conditioning(bundle)
    assert words is not None
    session = Session(bundle, device="cpu")
    processor = Processor(session, conditioning=words, trailing=trailing)
    separate_array(processor, noise(200), RATE)
    assert session.conditioning is not None
    assert np.abs(session.conditioning - words).max() > 0.01  # what was heard is taken off
    processor.release()
    np.testing.assert_array_equal(session.conditioning, words)


def test_a_session_whose_words_nobody_told_never_listens(bundle: Bundle) -> None:
    bundle = Bundle.open(str(bundle.path))  # which no other test has used
    words = baked_conditioning(bundle)
    assert words is not None
    processor = Processor(Session(bundle, device="cpu"))
    first = separate_array(processor, noise(200), RATE)
    processor.set_conditioning(words)
    np.testing.assert_array_equal(separate_array(processor, noise(200), RATE), first)
    assert "listener" not in bundle.__dict__  # and none was opened


@given(blocks=st.lists(st.integers(1, 700), min_size=1, max_size=6))
@settings(deadline=None, max_examples=20)
def test_any_blocks_give_the_same_samples(toy_bundle: Toys, play: Any, blocks: list[int]) -> None:
    bundle = toy_bundle(queries=2, listens=True).bundle
    audio = noise(80)
    one, other = Processor(bundle), Processor(bundle)
    for each in (one, other):
        each.prepare(RATE, 8192, 1)
    np.testing.assert_array_equal(play(one, audio), play(other, audio, blocks))


def test_a_thread_of_its_own_gives_the_same_samples(bundle: Bundle, play: Any) -> None:
    audio = noise(150)
    threaded, at_once = Processor(bundle), Processor(bundle)
    threaded.prepare(RATE, HOP, 1, block=HOP, realtime=True)
    threaded.set_realtime(False)  # waits for what it would else do without
    at_once.prepare(RATE, HOP, 1, block=HOP)
    np.testing.assert_array_equal(play(threaded, audio, [HOP]), play(at_once, audio, [HOP]))
    threaded.release()


def test_a_stream_starts_anew_after_reset(bundle: Bundle, play: Any) -> None:
    audio = noise(90)
    processor = Processor(bundle)
    processor.prepare(RATE, 4096, 1)
    first = play(processor, audio, [4096])
    processor.reset()
    np.testing.assert_array_equal(play(processor, audio, [4096]), first)


@pytest.mark.parametrize("fault", ["numbers", "raises"])
def test_a_broken_listener_is_not_heard(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def broken(self: Listener, audio: Floats) -> Floats:
        if fault == "raises":
            raise RuntimeError("broken")
        return np.full(len(self.hearing.classes), np.nan, np.float32)

    audio = noise(100)
    expected = separate_array(Processor(bundle, listens=False), audio, RATE)
    monkeypatch.setattr(Listener, "__call__", broken)
    processor = Processor(bundle)
    np.testing.assert_array_equal(separate_array(processor, audio, RATE), expected)
    assert processor.counters.faults == 0


def test_other_words_are_opposed_at_once(bundle: Bundle) -> None:
    classes = bundle.class_conditioning
    beside = waiting(bundle, classes[:1].copy(), 1)
    for hop in noise(EVERY + BUDGET).reshape(-1, 1, HOP):
        beside.hear(hop)
    presence = beside._ear.heard[1]
    assert presence is not None
    beside.ask(classes[1:2].copy())
    found = beside.conditioning
    expected = oppose(classes, classes[1], presence, TERMS)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    beside.reset()
    np.testing.assert_array_equal(beside.conditioning, classes[1:2])


def test_the_audio_thread_makes_no_arrays(toy_bundle: Toys) -> None:
    class Nobody:
        def post(self, order: object) -> None:
            pass

    bundle, long = toy_bundle(n_fft=8192, hop=4096, listens=True).bundle, 4096
    beside = Listening(bundle, listener_of(bundle), np.ones((1, 8), np.float32), 1)
    beside.close()
    beside._thread = Nobody()  # type: ignore[assignment]
    hop = np.ones((2, long), np.float32)

    def run() -> None:
        beside.hear(hop)
        assert len(beside.conditioning) == 1

    run()
    tracemalloc.start()
    try:
        for _ in range(20):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            run()
            assert tracemalloc.get_traced_memory()[1] - before < long  # a quarter of an array
    finally:
        tracemalloc.stop()


def test_other_conditionings_take_no_arrays() -> None:
    size = 50_000

    class Wide:
        conditioning = np.zeros((1, size), np.float32)

        def set_conditioning(self, conditioning: Floats) -> None:
            np.copyto(self.conditioning, conditioning)

    session: Any = Wide()
    glide, asked = Glide(3), [np.full((1, size), n, np.float32) for n in (1.0, 2.0)]
    for turn in range(4):
        glide.asked = asked[turn % 2]
        for _ in range(4):
            glide.advance(session)
    tracemalloc.start()
    try:
        for turn in range(4):
            glide.asked = asked[turn % 2]
            for _ in range(4):
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                glide.advance(session)
                assert tracemalloc.get_traced_memory()[1] - before < size
            np.testing.assert_array_equal(session.conditioning, asked[turn % 2])
    finally:
        tracemalloc.stop()


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "soloist-listener"}


def test_its_thread_ends_with_the_processor(bundle: Bundle) -> None:
    others = threads()
    released, forgotten = Processor(bundle), Processor(bundle)
    for processor in (released, forgotten):
        processor.prepare(RATE, HOP, 1)
    own = threads() - others
    assert len(own) == 2
    released.release()
    assert len(threads() & own) == 1
    del processor, forgotten
    gc.collect()
    latest = time.monotonic() + 5
    while threads() & own and time.monotonic() < latest:
        time.sleep(0.01)
    assert not threads() & own


def test_prepared_again_it_is_the_same_thread(bundle: Bundle) -> None:
    others = threads()
    processor = Processor(bundle)
    for realtime in (False, True, False):
        processor.prepare(RATE, HOP, 1, realtime=realtime)
        listening = processor._sessions.listening
        assert listening is not None and listening.waits is not realtime
    processor.set_realtime(True)
    assert listening is not None and not listening.waits
    assert len(threads() - others) == 1
    processor.release()


def test_negatives_are_left_as_they_are_and_words_can_change(toy_bundle: Toys, play: Any) -> None:
    bundle = toy_bundle(queries=2, listens=True).bundle
    words = bundle.class_conditioning[:3].copy()
    processor = Processor(bundle, conditioning=words, negatives=1)
    processor.prepare(RATE, 4096, 1)
    session = processor._sessions.current
    assert session is not None and session.conditioning is not None
    audio = noise(EVERY + BUDGET + 14)  # twice; the third window counts, the fourth is not due
    play(processor, audio, [HOP])
    np.testing.assert_allclose(session.conditioning[2], words[2], rtol=1e-6)
    assert np.abs(session.conditioning[:2] - words[:2]).max() > 0.05
    processor.set_conditioning(words[::-1].copy())
    play(processor, audio, [HOP])
    np.testing.assert_allclose(session.conditioning[2], words[0], rtol=1e-6)
    listening = processor._sessions.listening
    assert listening is not None
    presence = listening._ear.heard[1]
    assert presence is not None
    expected = oppose(bundle.class_conditioning, words[2], presence, TERMS)
    np.testing.assert_allclose(session.conditioning[0], expected, rtol=1e-3, atol=1e-4)
    processor.release()


def test_trailing_masks_hear_too(bundle: Bundle, play: Any) -> None:
    audio = noise(120)
    found = []
    for listens in (True, False):
        processor = Processor(bundle, trailing=True, listens=listens)
        processor.prepare(RATE, HOP, 1, block=HOP)
        found.append(play(processor, audio, [HOP]))
        processor.release()
    first = (EVERY + BUDGET) * HOP
    np.testing.assert_array_equal(found[0][:first], found[1][:first])
    assert np.abs(found[0] - found[1]).max() > 1e-3
