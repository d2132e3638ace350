"""What CLAPSep learns from: as loud as each other, asked for as often and as variously as said."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from soloist.training.clapsep_examples import Examples, Queries, mixed
from soloist.training.clips import Clip

RATE, SAMPLES = 32_000, 8_000
TEXT, SOUND = 0, 1


def axis(number: int) -> NDArray[np.float32]:
    row = np.zeros(512, np.float32)
    row[number] = 1
    return row


class Axes:
    """Texts and sounds each along an axis of their own: 2 n of class n, beside it the sounds."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}
        self.lengths: list[int] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([axis(2 * int(text[-1]) + TEXT) for text in texts])

    def encode_sounds(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        self.lengths += [len(sound) for sound in sounds]
        return np.stack([axis(2 * round(sound.mean() * 10) + SOUND) for sound in sounds])


def clips(count: int, seconds: float = 1.0) -> list[Clip]:
    """Of class n so many samples of n tenths of full scale."""
    return [
        Clip(
            f"{n}.wav",
            f"class {n}",
            (f"a class {n}",),
            np.full(round(seconds * RATE), n * 3277, np.int16),
        )
        for n in range(1, count + 1)
    ]


def examples(clap: Axes | None = None, sounds: str = "itself", seconds: float = 1.0) -> Examples:
    asked = Queries.model_validate({"sounds": sounds})
    return Examples(clips(4, seconds), clap or Axes(), RATE, SAMPLES, asked, seed=5)


def test_an_example_is_the_same_whenever_it_is_drawn_and_no_two_are_alike() -> None:
    drawn, again = examples(), examples()
    for number in (3, 0, 3):
        for key, value in drawn[number].items():
            assert np.array_equal(value, again[number][key])
    assert not np.array_equal(drawn[0]["queries"], drawn[1]["queries"])


def test_queries_say_what_each_source_is_and_what_the_other_one_is() -> None:
    drawn = examples()
    sides = []
    for number in range(400):
        item = drawn[number]
        assert item["sources"].shape == (2, SAMPLES)
        assert item["queries"].shape == (2, 1024)
        named = []
        for query in item["queries"]:
            assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
            halves = query.reshape(2, 512)
            sides.append(tuple(bool(half.any()) for half in halves))
            named.append([set(np.flatnonzero(half) // 2) for half in halves])
            if sides[-1] == (True, True):  # both at one place between text and sound
                text, sound = (halves[:, n::2].sum(1) for n in (TEXT, SOUND))
                np.testing.assert_allclose(text[0] * sound[1], text[1] * sound[0], atol=1e-6)
        for one, other in zip(*named, strict=True):
            assert not one & other or not (one and other)
        known = [name for pair in named for name in pair if name]
        assert all(len(name) == 1 for name in known)
    share = {side: sides.count(side) / len(sides) for side in set(sides)}
    assert share.keys() == {(True, True), (True, False), (False, True)}
    assert share[True, True] == pytest.approx(0.5, abs=0.06)
    assert share[True, False] == pytest.approx(0.25, abs=0.06)


def test_what_asks_lies_anywhere_between_text_and_sound() -> None:
    drawn = examples()
    shares = []
    for number in range(300):
        for query in drawn[number]["queries"]:
            half = query[:512] if query[:512].any() else query[512:]
            text, sound = half[TEXT::2].sum(), half[SOUND::2].sum()
            shares.append(sound / (text + sound))
    assert np.histogram(shares, bins=4, range=(0, 1))[0] == pytest.approx(150, abs=40)


def test_a_recording_asks_slower_and_faster_or_its_class_does() -> None:
    clap = Axes()
    examples(clap)
    assert sorted(set(clap.lengths)) == pytest.approx([48_000 / 1.1, 48_000 / 0.9], abs=2)
    clap = Axes()
    examples(clap, "class")
    assert set(clap.lengths) == {48_000}
    clap = Axes()
    examples(clap, seconds=20)
    assert set(clap.lengths) == {480_000}


def test_silence_follows_a_recording_that_is_shorter() -> None:
    sources = examples(seconds=0.1)[0]["sources"]
    assert (sources[:, :3200] != 0).all()
    assert not sources[:, 3200:].any()


@given(st.floats(1e-3, 1), st.floats(1e-3, 1))
def test_sources_are_as_loud_as_each_other_and_their_sum_within_full_scale(
    one: float, other: float
) -> None:
    random = np.random.default_rng(0)
    given = [(level * random.uniform(-1, 1, 1000)).astype(np.float32) for level in (one, other)]
    first, second = mixed(*given)
    assert np.square(second).sum() == pytest.approx(np.square(first).sum(), rel=1e-3)
    assert np.corrcoef(second, given[1])[0, 1] == pytest.approx(1)
    gain = first[0] / given[0][0]
    peak = np.abs(first + second).max()
    assert gain == pytest.approx(1) or peak == pytest.approx(0.9, abs=1e-3)
    assert peak <= 1


def test_silence_is_mixed_as_it_is() -> None:
    tone = np.full(10, 0.5, np.float32)
    assert np.array_equal(mixed(0 * tone, tone), np.stack([0 * tone, tone]))
