"""Random mixtures: repeatable, at the levels promised, asked for what they hold and do not hold."""

from typing import Any

import numpy as np
import pytest

from soloist.training.clips import ACTIVE_FRAME, Clip, active_power, phrases_of, vocabulary
from soloist.training.mixtures import Mixtures, Scenes, query_near

RATE = 8_000
LABELS = {"dog": "animal", "cat": "animal", "cow": "animal", "rain": "", "piano": "", "siren": ""}


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    return [
        Clip(f"{label}{i}", label, (f"a {label}", f"{label} {i}"), samples, category or label)
        for label, category in LABELS.items()
        for i in range(2)
        for samples in [(rng.normal(0, 3000, int(rng.integers(2000, 20_000)))).astype(np.int16)]
    ]


def table(clips: list[Clip]) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    phrases = sorted({phrase for clip in clips for phrase in clip.phrases})
    rows = rng.normal(size=(len(phrases), 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return dict(zip(phrases, rows, strict=True))


def mixtures(clips: list[Clip], seed: int = 1, **scenes: Any) -> Mixtures:
    return Mixtures(clips, table(clips), Scenes(**scenes), RATE, RATE, 65, seed)


def drawn(clips: list[Clip], count: int, **scenes: Any) -> list[dict[str, Any]]:
    source = mixtures(clips, **scenes)
    return [source[number] for number in range(count)]


def asked(clips: list[Clip], query: Any) -> str:
    """The class whose phrase lies nearest."""
    known = table(clips)
    owner = {phrase: clip.label for clip in clips for phrase in clip.phrases}
    return owner[max(known, key=lambda phrase: float(known[phrase] @ query))]


def test_a_number_and_a_seed_name_a_mixture(clips: list[Clip]) -> None:
    everything: dict[str, Any] = {"alike": 0.5, "overlay": 0.5, "rooms": 0.5, "pollution": 0.5}
    first, again = (mixtures(clips, **everything)[5] for _ in range(2))
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
    for other in (mixtures(clips, seed=2, **everything)[5], mixtures(clips, **everything)[6]):
        assert not np.array_equal(first["sources"], other["sources"])


def test_two_or_three_sounds_and_silence_for_the_rest(clips: list[Clip]) -> None:
    counts = set()
    for item in drawn(clips, 40):
        count = int(item["present"].sum())
        counts.add(count)
        energy = np.square(item["sources"]).sum(axis=-1)
        np.testing.assert_array_equal(energy > 0, item["present"])
        lengths = np.linalg.norm(item["queries"], axis=-1)
        np.testing.assert_allclose(lengths[[*range(count), 3]], 1, rtol=1e-5)
        assert not lengths[count:3].any()
    assert counts == {2, 3}
    assert {len(item["sources"]) for item in drawn(clips, 10, sounds=2)} == {2}


def test_levels_stay_within_eight_decibels_and_below_full_scale(clips: list[Clip]) -> None:
    for item in drawn(clips, 40, overlay=0.5, rooms=0.5, pollution=0.5):
        assert np.abs(item["sources"].sum(axis=0)).max() <= 10 ** (-1 / 20) + 1e-5
        powers = [active_power(source) for source in item["sources"][item["present"]]]
        assert 10 * np.log10(max(powers) / min(powers)) <= 8.01


def test_each_sound_is_asked_for_and_one_that_is_not_there(clips: list[Clip]) -> None:
    for item in drawn(clips, 40):
        heard = [asked(clips, q) for q in item["queries"][: item["present"].sum()]]
        assert len({*heard, asked(clips, item["queries"][-1])}) == len(heard) + 1


def test_sounds_that_are_alike_come_together(clips: list[Clip]) -> None:
    for item in drawn(clips, 20, sounds=2, alike=1.0):
        classes = [asked(clips, query) for query in item["queries"]]
        animals = sum(LABELS[label] == "animal" for label in classes)
        # the three animals, or a class that is alone in its category and any others
        assert animals == 3 or LABELS[classes[0]] == ""


def test_pollution_is_another_sound_within_a_source() -> None:
    """Each class a tone of its own: how many tones a source holds."""
    time = np.arange(2 * RATE) / RATE
    tones = [
        Clip(
            label, label, (label, f"a {label}"), (9000 * np.sin(2 * np.pi * f * time)).astype("i2")
        )
        for label, f in {"one": 500, "two": 1000, "three": 2000, "four": 3000}.items()
    ]
    for share, wanted in ((0.0, 1), (1.0, 2)):
        for item in drawn(tones, 5, sounds=2, speed=0.0, pollution=share):
            for source in item["sources"]:
                spectrum = np.abs(np.fft.rfft(source))[[500, 1000, 2000, 3000]]
                assert (spectrum > 0.3 * spectrum.max()).sum() == wanted


@pytest.mark.parametrize("step_db", [0.0, 2.5, 6.0])
def test_equalisers_walk_as_far_as_they_are_told(clips: list[Clip], step_db: float) -> None:
    """From the lowest bin to the highest are five steps, in 60 % of the sounds."""
    drawn_curves = [
        curve
        for item in drawn(clips, 150, equaliser_db=step_db)
        for curve, there in zip(item["equalisers"], item["present"], strict=True)
        if there
    ]
    curves = 20 * np.log10(np.array(drawn_curves))
    whole = curves[curves[:, -1] - curves[:, -8] > -6]  # without those that are cut off on top
    walks = whole[:, -1] - whole[:, 0]
    changed = np.abs(walks) > 1e-3
    assert abs(changed.mean() - 0.6 * (step_db > 0)) < 0.1
    if step_db:
        assert walks[changed].std() == pytest.approx(np.sqrt(5) * step_db, rel=0.2)


def test_noise_behind_a_mixture_is_as_quiet_as_it_says(clips: list[Clip]) -> None:
    assert not any(item["background"].any() for item in drawn(clips, 5))
    behind = []
    for item, plain in zip(drawn(clips, 30, hiss=0.5, hiss_db=12.0), drawn(clips, 30), strict=True):
        np.testing.assert_array_equal(item["sources"], plain["sources"])
        if item["background"].any():
            loud = active_power(item["sources"].sum(axis=0))
            behind.append(10 * np.log10(loud / active_power(item["background"])))
    assert 8 < len(behind) < 22
    assert 12 <= min(behind) < 20
    assert 34 < max(behind) <= 42


def test_queries_lie_near_a_phrase_of_their_class(clips: list[Clip]) -> None:
    known, random = table(clips), np.random.default_rng(0)
    for clip in clips:
        assert asked(clips, query_near(clip.phrases, known, random)) == clip.label


def test_too_few_classes_are_refused(clips: list[Clip]) -> None:
    with pytest.raises(ValueError, match="found 3 classes, mixtures take at least 4"):
        mixtures(clips[:6])


def test_active_power_counts_the_frames_within_forty_decibels() -> None:
    signal = np.zeros(100 * ACTIVE_FRAME)
    signal[: 10 * ACTIVE_FRAME] = 0.5
    signal[10 * ACTIVE_FRAME : 20 * ACTIVE_FRAME] = 0.5 * 10 ** (-41 / 20)
    assert active_power(signal) == pytest.approx(0.25)
    assert active_power(np.zeros(ACTIVE_FRAME)) == 0.0


def test_phrases_are_the_captions_and_the_class(clips: list[Clip]) -> None:
    row = {"class": "dog_bark", "caption": "a dog barking|dog bark"}
    assert phrases_of(row) == ("a dog barking", "dog bark", "the sound of dog bark")
    assert vocabulary(clips)["dog"] == ["a dog", "dog 0", "dog 1"]


def test_classes_of_noise_pollute_and_are_never_asked_for(clips: list[Clip]) -> None:
    scenes: dict[str, Any] = {"sounds": 2, "pollution": 1.0, "noise": ("rain", "siren")}
    for item in drawn(clips, 20, **scenes):
        assert not {asked(clips, query) for query in item["queries"]} & {"rain", "siren"}
    with pytest.raises(ValueError, match="no class 'wind' to learn from"):
        mixtures(clips, noise=("wind",))
