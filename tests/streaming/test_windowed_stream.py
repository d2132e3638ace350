"""The processor with windowed bundles: any blocks, honest latency, and what is heard in trouble."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.errors import BundleError, TooSlowError
from soloist.runtime.network import MaskNetwork
from soloist.streaming import windowed
from soloist.streaming.processor import Processor
from soloist.streaming.separator import Separator
from soloist.streaming.windowed import WindowedSession

Toys = Callable[..., Any]
Play = Callable[..., NDArray[np.float32]]
Noise = Callable[..., NDArray[np.float32]]

RATE = 16_000
HOP = 16


@pytest.fixture(scope="module")
def processor(windowed_toy: Toys) -> Processor:
    """Two queries, two channels, blocks of any size."""
    processor = Processor(windowed_toy(queries=2).bundle, device="cpu", outputs="stems")
    processor.prepare(RATE, 512, 2)
    return processor


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 4096), min_size=1, max_size=12).filter(any))
def test_any_partition_gives_the_same_samples(
    processor: Processor, play: Play, noise: Noise, blocks: list[int]
) -> None:
    audio = noise(9000, channels=2)
    processor.reset()
    whole = play(processor, audio)
    processor.reset()
    np.testing.assert_array_equal(play(processor, audio, [*blocks, 512]), whole)


def test_reported_latency_is_the_sum_of_its_parts(processor: Processor) -> None:
    parts, late = dict(processor.latency.parts), processor.latency_samples
    # Advance 5, cross-fade 2, look-ahead 2, compute 5 of 16 samples; see the toy.
    assert [parts[k] for k in ("advance", "cross-fade", "look-ahead", "compute")] == [
        80,
        32,
        32,
        80,
    ]
    assert late == sum(parts.values()) == processor.spec.latency_samples - HOP + HOP - 1


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("block", [None, 441])
def test_reported_latency_is_measured(
    windowed_toy: Toys, play: Play, error_db: Any, run: Any, rate: int, block: int | None
) -> None:
    """The stem of a network whose masks are all a half, at the reported delay and beside it."""
    run[0] = lambda masks: np.full_like(masks, 0.5)
    processor = Processor(windowed_toy().bundle, device="cpu", outputs="stems")
    processor.prepare(rate, 441, 1, block=block)
    late, skip = processor.latency_samples, 400 * rate // RATE
    audio = tones(441 * max(20, 5 * rate // RATE), rate)
    stem, residual = play(processor, audio, [441])
    errors = [
        error_db(stem[late + skip + shift :], 0.5 * audio[skip : len(audio) - late - shift])
        for shift in (-1, 0, 1)
    ]
    assert errors[1] < -85
    assert min(errors[0], errors[2]) > -60
    assert error_db((stem + residual)[late:], audio[:-late]) < -120


def tones(frames: int, rate: int) -> NDArray[np.float32]:
    """Below what resampling touches, and none a multiple of another."""
    times = np.arange(frames) / rate
    found = sum(np.sin(2 * np.pi * hertz * times) for hertz in (331.0, 997.0, 1777.0, 2203.0))
    return np.asarray(0.1 * found, np.float32)[:, None]


def test_the_tail_ends_as_reported(processor: Processor, play: Play, noise: Noise) -> None:
    processor.reset()
    audio = noise(2000, channels=2)
    audio[500:] = 0.0
    out = play(processor, audio)
    assert not out[:, 500 + processor.tail_samples :].any()
    assert np.abs(out[:, 500 + processor.latency_samples :]).max() > 1e-3


@pytest.mark.parametrize(
    ("choices", "first", "last"),
    [({"advance": 9}, "advance", 144), ({"lookahead": 10}, "look-ahead", 160)],
)
def test_advance_and_look_ahead_can_be_chosen(
    windowed_toy: Toys, choices: dict[str, int], first: str, last: int
) -> None:
    processor = Processor(windowed_toy().bundle, device="cpu", **choices)  # type: ignore[arg-type]
    processor.prepare(RATE, 512, 1)
    assert dict(processor.latency.parts)[first] == last


def test_a_separator_takes_them_too(windowed_toy: Toys, noise: Noise) -> None:
    separator = Separator(
        model=windowed_toy().bundle, advance=9, lookahead=4, linked=False, device="cpu"
    )
    assert dict(separator.latency(RATE).parts)["advance"] == 9 * HOP
    stems = separator.stems(noise(1000), RATE)
    assert set(stems) == {"dog", "residual"}
    np.testing.assert_allclose(sum(stems.values()), noise(1000), atol=1e-6)


def test_what_cannot_be_chosen_is_refused_in_a_line(windowed_toy: Toys, toy_bundle: Toys) -> None:
    with pytest.raises(BundleError, match="an advance of 19 frames, expected 2 to 18"):
        Processor(windowed_toy().bundle, advance=19)
    with pytest.raises(BundleError, match="'toy' is streaming, it has no windows"):
        Processor(toy_bundle().bundle, lookahead=3)
    with pytest.raises(ValueError, match="found budget 'short'"):
        Processor(windowed_toy().bundle, budget="short")  # type: ignore[arg-type]


def test_another_rate_keeps_the_sum(windowed_toy: Toys, play: Play, noise: Noise) -> None:
    processor = Processor(windowed_toy().bundle, device="cpu", outputs="stems")
    processor.prepare(48_000, 512, 1)
    audio, late = noise(6000), processor.latency_samples
    out = play(processor, audio, [512])
    assert late > 3 * 208  # the windows' at 16 kHz, and the resampler's
    np.testing.assert_allclose(out.sum(axis=0)[late:], audio[:-late], atol=1e-6)
    assert np.abs(out[0]).max() > 0.05


# --- in real time --------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[Any], Any]]:
    """`run[0]` is what becomes of the masks of each window; they are taken to need no time."""
    act: list[Callable[[Any], Any]] = [lambda masks: masks]

    class Scripted(MaskNetwork):
        def __call__(self, *given: Any) -> Any:
            return act[0](super().__call__(*given))

    monkeypatch.setattr(windowed, "MaskNetwork", Scripted)
    monkeypatch.setattr(windowed, "measure", lambda window: 0.0)
    return act


def test_real_time_measures_and_lengthens_the_advance(
    windowed_toy: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windowed, "measure", lambda window: 0.0095)  # hops of 1 ms
    processor = Processor(windowed_toy().bundle, device="cpu")
    processor.prepare(RATE, 512, 1, realtime=True)
    parts = dict(processor.latency.parts)
    assert (parts["advance"], parts["compute"]) == (160, 160)
    processor.prepare(RATE, 512, 1)  # waiting, there is no need
    assert dict(processor.latency.parts)["advance"] == 80
    monkeypatch.setattr(windowed, "measure", lambda window: 0.0195)
    with pytest.raises(TooSlowError, match=r"takes 19.5 ms .* 18 ms apart at most \(18 frames"):
        processor.prepare(RATE, 512, 1, realtime=True)
    processor.release()


def test_a_measured_budget_shortens_the_delay(windowed_toy: Toys, run: Any) -> None:
    processor = Processor(windowed_toy().bundle, device="cpu", budget="measured")
    processor.prepare(RATE, 512, 1, realtime=True)
    assert dict(processor.latency.parts)["compute"] == HOP
    processor.release()


@pytest.mark.parametrize("mode", ["keep", "remove"])
@pytest.mark.parametrize("fallback", ["dry", "silence"])
def test_a_network_that_stops_giving_numbers_is_held_then_bypassed_and_comes_back(
    windowed_toy: Toys, play: Play, noise: Noise, run: Any, mode: Any, fallback: Any
) -> None:
    """Held for 0.1 s, a hundred hops here; after 20 ms more it is the input, or nothing."""
    session = WindowedSession(windowed_toy().bundle, device="cpu", pace="wait")
    processor = Processor(session, mode=mode, fallback=fallback)
    processor.prepare(RATE, 512, 1, block=HOP)
    audio, late = noise(12_000), processor.latency_samples
    good = play(processor, audio, [HOP])
    processor.prepare(RATE, 512, 1, block=HOP)
    out = [play(processor, audio[:4000], [HOP])]
    run[0] = lambda masks: masks * np.float32(np.nan)
    out.append(play(processor, audio[4000:8000], [HOP]))
    run[0] = lambda masks: masks
    out.append(play(processor, audio[8000:], [HOP]))
    found = np.concatenate(out)
    failed = 4000 + (session.schedule.compute - 1) * HOP
    np.testing.assert_array_equal(found[:failed], good[:failed])
    gone = failed + (100 + 20 + 5 + 4) * HOP
    heard = audio[gone - late : 8000 - late] if fallback == "dry" else 0.0
    np.testing.assert_allclose(found[gone:8000], heard, atol=1e-6)
    back = 8000 + (2 * session.schedule.advance + session.schedule.compute + 4 + 2) * HOP
    np.testing.assert_array_equal(found[back:], good[back:])
    assert processor.counters.errors == processor.counters.late == 0
    assert 230 < processor.counters.faults <= 250
    # Nothing jumps where masks are held, let go or found again.
    steps = [np.abs(np.diff(each[2000:], axis=0)).max() for each in (found, audio)]
    assert steps[0] <= 1.2 * steps[1]


def test_masks_held_for_one_window_are_hardly_worse(
    windowed_toy: Toys, play: Play, noise: Noise, run: Any, error_db: Any
) -> None:
    session = WindowedSession(windowed_toy().bundle, device="cpu", pace="wait")
    processor = Processor(session)
    processor.prepare(RATE, 512, 1, block=HOP)
    audio = noise(6000)
    good = play(processor, audio, [HOP])
    processor.reset()
    first = play(processor, audio[:3200], [HOP])
    run[0] = lambda masks: 1 // 0
    second = play(processor, audio[3200 : 3200 + 5 * HOP], [HOP])  # one launch
    run[0] = lambda masks: masks
    third = play(processor, audio[3200 + 5 * HOP :], [HOP])
    found = np.concatenate([first, second, third])
    assert processor.counters.faults == processor.counters.errors == 5
    assert error_db(found[3000:4000], good[3000:4000]) < -6.0
    np.testing.assert_array_equal(found[4000:], good[4000:])


def test_release_ends_the_thread_and_may_be_prepared_again(
    windowed_toy: Toys, play: Play, noise: Noise, run: Any
) -> None:
    processor = Processor(windowed_toy().bundle, device="cpu")
    processor.prepare(RATE, 512, 1, realtime=True)
    play(processor, noise(400))
    processor.release()
    processor.prepare(RATE, 512, 2, realtime=True)
    play(processor, noise(400, channels=2))
    processor.release()


def test_folded_queries_cannot_be_changed(windowed_toy: Toys) -> None:
    processor = Processor(windowed_toy(folded=True).bundle, device="cpu")
    with pytest.raises(ValueError, match="folded into it"):
        processor.set_conditioning(np.ones((1, 2), np.float32))
