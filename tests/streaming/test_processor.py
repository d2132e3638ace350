import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.processor import Outputs, Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]
Noise = Callable[..., Audio]
ErrorDb = Callable[[Audio, Audio], float]

BOTH: tuple[Outputs, ...] = ("mix", "stems")


@pytest.fixture(scope="module", params=BOTH)
def processor(
    request: pytest.FixtureRequest,
    recurrent: Callable[..., PassThroughSession],
    make_spec: Callable[..., Spec],
) -> Iterator[Processor]:
    """Two queries, two channels, a network with a memory, blocks of any size."""
    processor = Processor(recurrent(make_spec(queries=2), channels=2), outputs=request.param)
    processor.set_gains([0.9, 0.1], 0.3)
    processor.prepare(48_000, 512, 2)
    yield processor
    processor.release()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4096), min_size=1, max_size=20).filter(any))
def test_any_partition_gives_the_same_samples(
    processor: Processor, play: Play, noise: Noise, blocks: list[int]
) -> None:
    """To the bit; blocks of nothing and blocks beyond the largest announced are among them."""
    audio = noise(9000, channels=2)
    processor.reset()
    whole = play(processor, audio)
    processor.reset()
    assert (play(processor, audio, [*blocks, 512]) == whole).all()


@pytest.mark.parametrize("block", [1, 37, 64, 100, 128, 480, 512])
def test_a_promised_block_size_gives_the_same_samples_sooner(
    processor: Processor, play: Play, noise: Noise, block: int
) -> None:
    audio = noise(3200 // block * block, channels=2)
    processor.set_block(None)
    processor.reset()
    whole, worst = play(processor, audio), processor.latency_samples
    processor.set_block(block)
    processor.reset()
    sooner = worst - processor.latency_samples
    out = play(processor, audio, [block])
    assert (out[..., : len(audio) - sooner, :] == whole[..., sooner:, :]).all()
    processor.set_block(None)


def test_the_second_use_after_reset_equals_a_fresh_engine(
    processor: Processor, play: Play, noise: Noise
) -> None:
    audio = noise(2000, channels=2)
    processor.prepare(48_000, 512, 2)
    fresh = play(processor, audio, [300])
    play(processor, noise(777, channels=2, seed=1))
    processor.reset()
    assert (play(processor, audio, [300]) == fresh).all()


def test_output_depends_on_no_later_input(processor: Processor, play: Play, noise: Noise) -> None:
    audio = noise(3000, channels=2)
    processor.reset()
    short = play(processor, audio[:1500], [100])
    processor.reset()
    assert (play(processor, audio, [100])[..., :1500, :] == short).all()


def test_stereo_is_two_times_mono(
    recurrent: Callable[..., PassThroughSession],
    ready: Callable[..., Processor],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
) -> None:
    spec, audio = make_spec(queries=3), noise(3000, channels=2)
    for outputs in BOTH:
        stereo = play(ready(recurrent(spec, channels=2), outputs=outputs), audio)
        for channel in (slice(0, 1), slice(1, 2)):
            mono = play(ready(recurrent(spec), outputs=outputs), audio[:, channel])
            assert (mono == stereo[..., channel]).all()


@pytest.mark.parametrize("block", [128, None])
def test_stems_and_residual_sum_to_the_delayed_input(
    recurrent: Callable[..., PassThroughSession],
    ready: Callable[..., Processor],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
    error_db: ErrorDb,
    block: int | None,
) -> None:
    session = recurrent(make_spec(queries=3), channels=2)
    processor = ready(session, outputs="stems", block=block)
    audio = noise(4096, channels=2)
    out = play(processor, audio, [128])
    delay = processor.latency_samples
    assert error_db(out.sum(axis=0)[delay:], audio[:-delay]) < -120
    assert min(np.abs(stem).max() for stem in out) > 0.01


def test_kept_and_removed_sum_to_the_delayed_input(
    recurrent: Callable[..., PassThroughSession],
    ready: Callable[..., Processor],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
    error_db: ErrorDb,
) -> None:
    processor = ready(recurrent(make_spec(queries=2)))
    audio = noise(4096)
    kept = play(processor, audio)
    processor.remove()
    processor.reset()
    removed = play(processor, audio)
    delay = processor.latency_samples
    assert error_db((kept + removed)[delay:], audio[:-delay]) < -120


def test_outputs_agree(
    recurrent: Callable[..., PassThroughSession],
    ready: Callable[..., Processor],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
    error_db: ErrorDb,
) -> None:
    """The mix is the sum of the separate outputs by their gains."""
    audio, gains = noise(3000), (0.5, 2.0, 0.25)
    mixer = ready(recurrent(make_spec(queries=2)))
    mixer.set_gains(gains[:2], gains[2])
    separate = play(ready(recurrent(make_spec(queries=2)), outputs="stems"), audio)
    expected = np.tensordot(np.array(gains, np.float32), separate, axes=1)
    assert error_db(play(mixer, audio), expected) < -120


@pytest.mark.parametrize("block", [None, 96, 128])
def test_the_tail_ends_where_it_is_said_to(
    ready: Callable[..., Processor], make_spec: Callable[..., Spec], play: Play, block: int | None
) -> None:
    """A network that smears each frame over all of it: the worst that a mask can do."""

    class Smearing(PassThroughSession):
        def step(self) -> None:
            mask = np.random.default_rng(0).uniform(-1, 1, self.stems.shape)
            np.multiply(self.spectrum[:, None], mask, out=self.stems)

    processor = ready(Smearing(make_spec()), block=block)
    ends = []
    for last in range(1000, 1128):  # each place in a hop
        audio = np.zeros((96 * 32, 1), np.float32)
        audio[last] = 1.0
        processor.reset()
        ends.append(int(np.flatnonzero(play(processor, audio, [96]))[-1]) - last)
    if block != 128:
        assert max(ends) == pytest.approx(processor.tail_samples, abs=3)  # windows end in zeros
    assert max(ends) <= processor.tail_samples


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("block", [1000, 4096])
def test_long_blocks_of_many_channels_have_no_gap(
    ready: Callable[..., Processor],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
    error_db: ErrorDb,
    channels: int,
    block: int,
) -> None:
    processor = ready(PassThroughSession(make_spec(), channels=channels), block=block)
    audio = noise(3 * block, channels)
    out = play(processor, audio, [block])
    delay = processor.latency_samples
    assert processor.counters.shortfall == 0
    assert error_db(out[delay:], audio[:-delay]) < -120


def test_process_may_write_over_its_input(
    ready: Callable[..., Processor], play: Play, noise: Noise
) -> None:
    for block in (None, 128):
        processor = ready(block=block)
        audio = noise(2048)
        expected = play(processor, audio, [512])
        processor.reset()
        for start in range(0, 2048, 512):
            piece = audio[start : start + 512]
            processor.process(piece, piece)
        assert (audio == expected).all()


def test_takes_views_as_drivers_give_them(
    ready: Callable[..., Processor], play: Play, noise: Noise
) -> None:
    processor = ready()
    audio = noise(1000)
    expected = play(processor, audio)
    processor.reset()
    wide = np.repeat(audio, 4, axis=1)
    out = np.zeros((1000, 3), np.float32)
    processor.process(wide[:, 2:3], out[:, 1:2])
    assert (out[:, 1:2] == expected).all()
    assert not out[:, ::2].any()


def test_a_broken_promise_is_counted_and_moves_nothing(
    ready: Callable[..., Processor], play: Play, noise: Noise, error_db: ErrorDb
) -> None:
    processor = ready(block=128)
    audio = noise(128 * 40)
    out = play(processor, audio, [128] * 10 + [100] + [156] + [128])
    delay = processor.latency_samples
    assert processor.counters.shortfall == 100
    assert delay == 128
    gap = slice(1280, 1380)
    assert not out[gap].any()
    out[gap] = audio[gap.start - delay : gap.stop - delay]
    assert error_db(out[delay:], audio[:-delay]) < -120


def test_a_block_size_learnt_late_costs_one_gap(
    ready: Callable[..., Processor], play: Play, noise: Noise, error_db: ErrorDb
) -> None:
    processor = ready(block=128)
    audio = noise(3000)
    play(processor, audio[:640], [128])
    processor.set_block(None)
    assert processor.latency_samples == 255
    out = play(processor, audio[640:], [77])
    assert error_db(out[255:], audio[640:-255]) < -120
    assert processor.counters.shortfall == 0


def test_denormals_do_not_slow_the_audio_thread(
    ready: Callable[..., Processor], make_spec: Callable[..., Spec], noise: Noise
) -> None:
    """A signal that fades below 1e-38 comes out as zeros, not as numbers that are slow to use."""
    audio = np.float32(1e-38) * noise(1024)
    assert ((audio != 0) & (np.abs(audio) < np.finfo(np.float32).tiny)).any()
    out = np.ones_like(audio)
    processor = ready(PassThroughSession(make_spec()))
    processor.process(audio, out)
    assert processor.provider == "cpu"
    assert not ((out != 0) & (np.abs(out) < np.finfo(np.float32).tiny)).any()


def test_counts_hops(ready: Callable[..., Processor], play: Play, noise: Noise) -> None:
    processor = ready()
    play(processor, noise(1000))
    assert processor.counters.hops == 1000 // 128


def test_conditioning_is_replaced_while_playing(make_spec: Callable[..., Spec], play: Play) -> None:
    processor = Processor(
        PassThroughSession(make_spec()), conditioning=np.array([[0.5]], np.float32)
    )
    processor.prepare(48_000, 512, 1, block=128)
    steady = np.ones((1280, 1), np.float32)
    assert play(processor, steady)[-1, 0] == pytest.approx(0.5, abs=1e-6)
    processor.set_conditioning(np.array([[0.25]], np.float32))
    assert play(processor, steady)[-1, 0] == pytest.approx(0.25, abs=1e-6)
    processor.prepare(48_000, 512, 1, block=128)
    assert play(processor, steady)[-1, 0] == pytest.approx(0.25, abs=1e-6)
    with pytest.raises(ValueError, match=r"found a conditioning of \(2, 1\), expected \(1,"):
        processor.set_conditioning(np.zeros((2, 1), np.float32))


def test_a_conditioning_set_while_one_is_taken_is_not_lost(make_spec: Callable[..., Spec]) -> None:
    """As from another thread: the new words come in the middle of handing over the old ones."""
    taken: list[float] = []
    playing: list[Processor] = []

    class Interrupted(PassThroughSession):
        def set_conditioning(self, conditioning: Audio) -> None:
            super().set_conditioning(conditioning)
            taken.append(float(conditioning[0, 0]))
            if len(taken) == 2:
                playing[0].set_conditioning(np.array([[0.25]], np.float32))

    playing.append(Processor(Interrupted(make_spec()), conditioning=np.array([[0.5]], np.float32)))
    playing[0].prepare(48_000, 512, 1, block=128)
    playing[0].set_conditioning(np.array([[0.75]], np.float32))
    block = np.zeros((128, 1), np.float32)
    for _ in range(4):
        playing[0].process(block, block)
    # Before the first sound at once; from then on words glide, and the third are not lost.
    assert taken[:2] == [0.5, 0.75]
    for _ in range(8):
        playing[0].process(block, block)
    assert taken[-1] == 0.25
    assert len(taken) == 10  # once there, it is not set again


def test_other_words_take_over_in_twenty_milliseconds_without_a_click(
    make_spec: Callable[..., Spec], ready: Callable[..., Processor], play: Play
) -> None:
    """From full level to silence on a steady input: 8 hops down a line, its corners rounded.

    Overlap-add goes from one step of the line to the next by half a Hann window, which is at most
    pi/2 as steep as the line.
    """
    processor = ready(PassThroughSession(make_spec(), weights=[1.0]), block=128)
    steady = np.ones((1920, 1), np.float32)
    play(processor, steady)
    processor.set_conditioning(np.zeros((1, 1), np.float32))
    out = play(processor, steady)[:, 0]
    assert out[0] == pytest.approx(1.0, abs=1e-6)
    assert out[4 * 128] == pytest.approx(0.5, abs=0.1)
    assert np.abs(out[9 * 128 :]).max() < 1e-6
    assert np.abs(np.diff(out)).max() < 1.01 * np.pi / 2 / 960


def test_reset_ends_a_change_of_words(
    recurrent: Callable[..., PassThroughSession],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
) -> None:
    """In the middle of the glide: from the reset on it is as if the new words were the first."""
    audio, words = noise(3000), np.array([[0.2]], np.float32)
    fresh = Processor(PassThroughSession(make_spec()), conditioning=words)
    fresh.prepare(48_000, 512, 1)
    processor = Processor(PassThroughSession(make_spec(), weights=[0.9]))
    processor.prepare(48_000, 512, 1)
    play(processor, audio)
    processor.set_conditioning(words)
    play(processor, audio[:256])
    processor.reset()
    assert (play(processor, audio) == play(fresh, audio)).all()


def test_negatives_compete_and_are_heard_as_residual(
    make_spec: Callable[..., Spec], play: Play, noise: Noise, error_db: ErrorDb
) -> None:
    """Three queries to the network, one stem to the listener."""
    session = PassThroughSession(make_spec(queries=3), channels=2, weights=[0.5, 0.3, 0.1])
    audio = noise(2048, channels=2)
    processor = Processor(session, outputs="stems", negatives=2)
    assert processor.queries == 1
    assert [p.id for p in processor.parameters if p.id.endswith("gain")] == [
        "stem1.gain",
        "residual.gain",
    ]
    processor.prepare(48_000, 2048, 2, block=128)
    stem, residual = play(processor, audio, [128])
    assert error_db(stem[128:], np.float32(0.5) * audio[:-128]) < -120
    assert error_db(residual[128:], np.float32(0.5) * audio[:-128]) < -120
    with pytest.raises(ValueError, match="found 3 negatives among 3 queries"):
        Processor(session, negatives=3)


def test_linked_masks_keep_every_sound_where_it_is(
    recurrent: Callable[..., PassThroughSession],
    make_spec: Callable[..., Spec],
    play: Play,
    noise: Noise,
    error_db: ErrorDb,
) -> None:
    """A sound panned to 0.8 and -0.3 comes out so; with a mask a channel it would not."""
    audio = noise(6000) * np.array([[0.8, -0.3]], np.float32)
    for linked in (True, False):
        session = recurrent(make_spec(), channels=2)
        processor = Processor(session, linked=linked)
        processor.prepare(48_000, 512, 2)
        left, right = play(processor, audio, [512]).T
        found = error_db(right, np.float32(-0.375) * left)
        assert found < -100 if linked else found > -60


def test_a_block_goes_through_in_pieces_unheard(
    ready: Callable[..., Processor], play: Play, noise: Noise
) -> None:
    """Longer than announced, and longer than the pieces in which it is worked on."""
    audio = noise(20_000, channels=2)
    processor = ready(PassThroughSession(ready().spec, channels=2))
    expected = play(processor, audio, [500])
    processor.reset()
    assert (play(processor, audio) == expected).all()


def test_release_lets_go_of_engine_and_session(toy_bundle: Any) -> None:
    processor = Processor(toy_bundle().bundle, device="cpu")
    processor.prepare(48_000, 512, 1)
    assert processor._chain is not None and processor._sessions.current is not None
    chain, session = weakref.ref(processor._chain), weakref.ref(processor._sessions.current)
    processor.release()
    assert chain() is None
    assert session() is None


def test_a_bundle_is_opened_for_as_many_channels_as_needed(
    toy_bundle: Any, play: Play, noise: Noise
) -> None:
    toy = toy_bundle(queries=2)
    processor = Processor(toy.bundle, device="cpu")
    audio = noise(1024, channels=2)
    processor.prepare(48_000, 512, 2)
    stereo = play(processor, audio)
    processor.prepare(48_000, 512, 1)
    mono = play(processor, audio[:, :1])
    assert np.abs(stereo[:, :1] - mono).max() < 1e-6
    with pytest.raises(ValueError, match=r"expected \(2, 8\)"):
        processor.set_conditioning(np.zeros((2, 7), np.float32))


def test_says_what_a_caller_did_wrong(
    make_spec: Callable[..., Spec], ready: Callable[..., Processor]
) -> None:
    block = np.zeros((8, 1), np.float32)
    processor = Processor(PassThroughSession(make_spec()))
    with pytest.raises(ValueError, match="before prepare"):
        processor.process(block, block)
    with pytest.raises(ValueError, match="before prepare"):
        processor.reset()
    with pytest.raises(ValueError, match="before prepare"):
        processor.set_block(128)
    with pytest.raises(ValueError, match="found 2 channels, the session has 1"):
        processor.prepare(48_000, 512, 2)
    for wrong in ((0, 1, None), (512, 0, None), (512, 1, 513), (512, 1, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            processor.prepare(48_000, *wrong[:2], block=wrong[2])
    with pytest.raises(ValueError, match="expected one of"):
        Processor(PassThroughSession(make_spec()), mode="mute")  # type: ignore[arg-type]
    processor = ready()
    for audio, out in (
        (block[:, 0], block),
        (block, block[:4]),
        (np.zeros((8, 2), np.float32), block),
    ):
        with pytest.raises(ValueError, match="found blocks of"):
            processor.process(audio, out)
    others: list[tuple[Any, Any]] = [
        (block.astype(np.float64), block),
        (block, np.zeros((8, 1), np.int16)),
        (block.astype(np.complex64), block),
    ]
    for audio, out in others:
        with pytest.raises(ValueError, match="found samples of"):
            processor.process(audio, out)
    with pytest.raises(ValueError, match="not finite"):
        processor.set_conditioning(np.array([[np.nan]], np.float32))
    processor.release()
    with pytest.raises(ValueError, match="before prepare"):
        processor.process(block, block)


def test_taps_hear_input_and_stems(make_spec: Callable[..., Spec], noise: Noise) -> None:
    """Several at once, before `prepare` and after it; one that was removed hears nothing more."""
    processor = Processor(PassThroughSession(make_spec(queries=2), channels=2))
    heard: dict[str, list[tuple[Audio, Audio]]] = {"first": [], "second": []}

    def first(dry: Audio, stems: Audio) -> None:
        heard["first"].append((dry.copy(), stems.copy()))

    def second(dry: Audio, stems: Audio) -> None:
        heard["second"].append((dry.copy(), stems.copy()))

    processor.add_tap(first)
    processor.prepare(48_000, 256, 2, block=256)
    audio, out = noise(256, channels=2), np.zeros((256, 2), np.float32)
    processor.process(audio, out)
    processor.add_tap(second)
    processor.process(audio, out)
    processor.remove_tap(first)
    processor.remove_tap(first)  # again: nothing happens
    processor.process(audio, out)
    assert [len(calls) for calls in heard.values()] == [2, 2]
    dry, stems = heard["second"][0]
    delay = processor.latency_samples
    np.testing.assert_array_equal(dry, np.concatenate([audio[-delay:], audio[:-delay]]))
    assert stems.shape == (2, 256, 2)
    np.testing.assert_allclose(stems.sum(axis=0), dry, atol=1e-6)  # all of it is in the two
