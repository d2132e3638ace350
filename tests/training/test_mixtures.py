"""Random mixtures: repeatable, at the levels promised, asked for what they hold and do not hold."""

import numpy as np
import pytest

from soloist.training.clips import ACTIVE_FRAME, Clip, active_power, phrases_of, vocabulary
from soloist.training.mixtures import MixtureMaker, query_near

RATE = 8_000
LABELS = ("dog", "rain", "piano", "drums", "siren")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    return [
        Clip(f"{label}{i}", label, (f"a {label}", f"{label} {i}"), samples)
        for label in LABELS
        for i in range(2)
        for samples in [(rng.normal(0, 3000, int(rng.integers(2000, 20_000)))).astype(np.int16)]
    ]


def maker(clips: list[Clip], seed: int = 1) -> MixtureMaker:
    rng = np.random.default_rng(7)
    phrases = sorted({phrase for clip in clips for phrase in clip.phrases})
    rows = rng.normal(size=(len(phrases), 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return MixtureMaker(clips, dict(zip(phrases, rows, strict=True)), RATE, 1.0, 65, seed)


def test_the_same_seed_gives_the_same_mixtures(clips: list[Clip]) -> None:
    first, again, other = (maker(clips, seed).batch(3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.sources, again.sources)
    np.testing.assert_array_equal(first.queries, again.queries)
    assert not np.array_equal(first.sources, other.sources)


def test_two_or_three_sounds_and_silence_for_the_rest(clips: list[Clip]) -> None:
    batch = maker(clips).batch(40)
    counts = batch.present.sum(axis=1)
    assert set(counts) == {2, 3}
    energy = np.square(batch.sources).sum(axis=-1)
    np.testing.assert_array_equal(energy > 0, batch.present)
    lengths = np.linalg.norm(batch.queries, axis=-1)
    np.testing.assert_allclose(lengths[:, :2], 1, rtol=1e-5)
    np.testing.assert_allclose(lengths[:, -1], 1, rtol=1e-5)
    np.testing.assert_array_equal(lengths[counts == 2, 2], 0)


def test_levels_stay_within_eight_decibels_and_below_full_scale(clips: list[Clip]) -> None:
    batch = maker(clips).batch(40)
    assert np.abs(batch.sources.sum(axis=1)).max() <= 10 ** (-1 / 20) + 1e-5
    for sources, present in zip(batch.sources, batch.present, strict=True):
        powers = [active_power(s) for s, p in zip(sources, present, strict=True) if p]
        assert 10 * np.log10(max(powers) / min(powers)) <= 8.01


def test_queries_lie_near_a_phrase_of_their_class(clips: list[Clip]) -> None:
    mixtures = maker(clips)
    owner = {phrase: clip.label for clip in clips for phrase in clip.phrases}
    phrases = list(mixtures.embeddings)
    table = np.stack([mixtures.embeddings[p] for p in phrases])
    for clip in clips:
        nearest = phrases[
            int(np.argmax(table @ query_near(clip.phrases, mixtures.embeddings, mixtures.random)))
        ]
        assert owner[nearest] == clip.label


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
