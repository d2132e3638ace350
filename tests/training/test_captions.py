"""Captioned mixtures: what is in them, and what their captions say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from soloist.training.captions import Captioned, Captions
from soloist.training.clips import Clip

RATE, SAMPLES = 16_000, 8000


def drawn(clips: list[Clip], **told: float | str) -> Captioned:
    return Captioned(clips, Captions.model_validate(told), 2, SAMPLES, seed=5)


def loudest(sound: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / SAMPLES)


def test_an_example_is_the_same_whenever_it_is_drawn(clips: list[Clip]) -> None:
    one, other = drawn(clips, singles=0.5), drawn(clips, singles=0.5)
    for number in (3, 0, 3):
        for key, value in one[number].items():
            assert np.array_equal(value, other[number][key])
    assert not np.array_equal(one[0]["sounds"], one[1]["sounds"])


def test_captions_name_the_sounds_of_their_mixture(
    clips: list[Clip], tones: dict[str, float]
) -> None:
    examples = drawn(clips)
    for number in range(10):
        item = examples[number]
        assert not item["single"]
        assert np.abs(item["sounds"]).max() <= 0.5 * 1.5 / 4 + 1e-3  # peak, level, one of four
        captions, phrases = examples.words(torch.from_numpy(item["phrases"])[None])
        assert captions[0] == [" and ".join(phrases[0][:2]), " and ".join(phrases[0][2:])]
        assert len({phrase.split()[-1] for phrase in phrases[0]}) == 4
        for sound, phrase in zip(item["sounds"].reshape(4, -1), phrases[0], strict=True):
            frequency = tones[phrase.split()[-1]]
            assert not frequency or loudest(sound) == pytest.approx(frequency, abs=2)


def test_singles_are_one_sound_a_caption(clips: list[Clip]) -> None:
    examples = drawn(clips, singles=1.0)
    item = examples[0]
    assert item["single"]
    assert item["sounds"][:, 0].any(1).all() and not item["sounds"][:, 1].any()
    captions, phrases = examples.words(torch.from_numpy(item["phrases"])[None])
    assert phrases[0] == [captions[0][0], captions[0][0], captions[0][1], captions[0][1]]
    share = np.mean([drawn(clips, singles=0.25)[number]["single"] for number in range(200)])
    assert share == pytest.approx(0.25, abs=0.1)


def test_sounds_are_called_by_their_class_alone(clips: list[Clip]) -> None:
    examples = drawn(clips, phrases="class")
    assert examples.phrases == ["high", "hiss", "low", "middle"]
    _, phrases = examples.words(torch.from_numpy(examples[0]["phrases"])[None])
    assert sorted(phrases[0]) == examples.phrases


def test_as_many_classes_are_needed_as_are_mixed(clips: list[Clip]) -> None:
    with pytest.raises(ValueError, match="found 4 classes, mixtures take at least 6"):
        drawn(clips, sources=3)


def test_sounds_of_a_place_come_together(clips: list[Clip]) -> None:
    places = [["high", "hiss"], ["low", "middle"]]
    examples = Captioned(
        clips, Captions(phrases="class", together=places, singles=0.5), 2, SAMPLES, seed=5
    )
    heard, alone = set(), set()
    for number in range(40):
        item = examples[number]
        _, phrases = examples.words(torch.from_numpy(item["phrases"])[None])
        two = [frozenset(phrases[0][:2]), frozenset(phrases[0][2:])]
        assert all(names <= set(places[n]) for n, names in zip(item["places"], two, strict=True))
        if item["single"]:
            assert all(len(names) == 1 for names in two)
            alone |= set().union(*two)
            assert [sorted(place) for place in places if two[0] <= set(place) >= two[1]] == []
        else:
            assert sorted(map(sorted, two)) == places
            heard.add(tuple(map(tuple, map(sorted, two))))
    assert len(alone) == 4
    assert len(heard) == 2  # either place may be first


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([["high", "hiss"], ["low", "piano"]], "found 'piano' in mixing.together"),
        ([["high", "hiss", "low", "middle"]], "at least 2 groups of at least 2 classes"),
        ([["high", "hiss", "low"], ["middle", "middle"]], "at least 2 groups"),
    ],
)
def test_places_must_be_there(clips: list[Clip], places: list[list[str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Captioned(clips, Captions(together=places), 2, SAMPLES, seed=5)


def test_sounds_after_the_first_are_quieter_by_as_much_as_is_told(clips: list[Clip]) -> None:
    faint = [replace(clip, samples=clip.samples // 100) for clip in clips[:2]]
    for quieter_db in (0.0, 12.0):
        examples = drawn([*faint, *clips[2:]], quieter_db=quieter_db)
        beside = []
        for number in range(60):
            for first, second in examples[number]["sounds"]:
                beside.append(10 * np.log10(np.square(second).mean() / np.square(first).mean()))
        # a random level is half to one and a half of the sound
        assert min(beside) > -quieter_db - 6.1 and max(beside) < 3.6
        assert min(beside) < -quieter_db - 2 and max(beside) > 1
