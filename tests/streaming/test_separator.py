"""The separator does what the parts below it do, for audio of every form, or says why not."""

import gc
import math
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError, QueryError
from soloist.runtime.queries import TextEncoder, conditioning_for
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Mode, Processor
from soloist.streaming.separator import Separator

Audio = NDArray[np.float32]

RATE = 48_000


@pytest.fixture
def bundle(toy_bundle: Callable[..., Any]) -> Bundle:
    found: Bundle = toy_bundle(queries=2).bundle
    return found


def noise(frames: int, channels: int = 1, seed: int = 0) -> Audio:
    rng = np.random.default_rng(seed)
    return (0.3 * rng.standard_normal((frames, channels))).astype(np.float32)


def expected(bundle: Bundle, audio: Audio, *queries: str, negatives: int = 0) -> Audio:
    """Stems and residual (queries + 1, frames, channels) by the parts below."""
    words = conditioning_for(bundle, queries)
    processor = Processor(
        bundle, outputs="stems", conditioning=words, negatives=negatives, linked=True
    )
    return separate_array(processor, audio, RATE)


def test_keep_and_remove(bundle: Bundle) -> None:
    audio = noise(4000, 2)
    stem, residual = expected(bundle, audio, "piano")
    np.testing.assert_allclose(Separator("piano", model=bundle)(audio, RATE), stem, atol=1e-6)
    removed = Separator("piano", model=bundle, mode="remove")(audio, RATE)
    np.testing.assert_allclose(removed, residual, atol=1e-6)


def test_mono_comes_out_as_it_went_in_whatever_the_precision(bundle: Bundle) -> None:
    audio, separator = noise(3000)[:, 0], Separator("piano", model=bundle)
    alone = separator(audio, RATE)
    assert alone.shape == audio.shape and alone.dtype == np.float32
    np.testing.assert_array_equal(separator(audio[:, None], RATE)[:, 0], alone)
    np.testing.assert_array_equal(separator(audio.astype(np.float64), RATE), alone)
    assert separator(audio[:0], RATE).shape == (0,)


def test_another_rate(bundle: Bundle) -> None:
    audio = noise(2000)
    words = conditioning_for(bundle, ["piano"])
    whole = separate_array(Processor(bundle, conditioning=words), audio, 44_100)
    np.testing.assert_array_equal(Separator("piano", model=bundle)(audio, 44_100), whole)


def test_stems_by_their_words(bundle: Bundle) -> None:
    audio = noise(4000, 2)
    stems = Separator("piano", "dog", model=bundle).stems(audio, RATE)
    assert list(stems) == ["piano", "dog", "residual"]
    np.testing.assert_array_equal(
        np.stack(list(stems.values())), expected(bundle, audio, "piano", "dog")
    )
    np.testing.assert_allclose(sum(stems.values()), audio, atol=1e-6)
    assert Separator("dog", model=bundle).stems(audio[:, 0], RATE)["dog"].shape == (4000,)


def test_words_as_a_list_and_those_of_the_model(bundle: Bundle) -> None:
    assert Separator(["piano", "dog"], model=bundle).queries == ("piano", "dog")
    baked = Separator(model=bundle)
    assert baked.queries == ("dog", "rain")
    audio = noise(2000)
    stems = np.stack(list(baked.stems(audio, RATE).values()))
    np.testing.assert_allclose(stems, expected(bundle, audio, "dog", "rain"), atol=1e-6)


def test_negatives_are_residual(bundle: Bundle) -> None:
    audio = noise(4000)
    stems = Separator("piano", negatives="dog", model=bundle).stems(audio, RATE)
    assert list(stems) == ["piano", "residual"]
    truth = expected(bundle, audio, "piano", "dog", negatives=1)
    np.testing.assert_array_equal(np.stack(list(stems.values())), truth)


@pytest.mark.parametrize("channels", [None, 2])
def test_a_stream_in_any_blocks_is_the_recording_delayed(
    bundle: Bundle, channels: int | None
) -> None:
    audio = noise(5000, channels or 1)
    audio = audio[:, 0] if channels is None else audio
    separator = Separator("piano", model=bundle)
    whole, late = separator(audio, RATE), separator.latency(RATE).total
    pieces = np.split(audio, [1, 1, 130, 1000, 1001, 4800])
    played = list(separator.blocks(pieces, RATE, tail=True))
    assert [p.shape for p in played[:-1]] == [p.shape for p in pieces]
    stream = np.concatenate(played)
    np.testing.assert_array_equal(stream[late:], whole)


@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_a_stream_at_another_rate(bundle: Bundle, rate: int) -> None:
    audio = noise(9000, 2)
    pieces = np.split(audio, [1, 700, 701, 4096])
    heard = [
        np.concatenate(list(Separator("piano", model=bundle, mode=mode).blocks(p, rate, tail=True)))
        for mode in get_args(Mode)
        for p in (pieces, [audio])
    ]
    np.testing.assert_array_equal(heard[0], heard[1])
    late = Separator("piano", model=bundle).latency(rate)
    assert late.sample_rate == rate and len(heard[0]) == len(audio) + late.total
    np.testing.assert_allclose((heard[0] + heard[2])[late.total :], audio, atol=1e-6)


@pytest.mark.parametrize(("rate", "block"), [(16_000, 64), (32_000, 128), (96_000, 256), (RATE, 1)])
def test_the_end_of_the_sound_is_whole(bundle: Bundle, rate: int, block: int) -> None:
    """As if silence had followed in blocks of the size that was promised."""
    separator = Separator("piano", model=bundle)
    late = separator.latency(rate, block).total
    pieces = np.split(noise(40 * block)[:, 0], 40)
    found = np.concatenate(list(separator.blocks(pieces, rate, block=block, tail=True)))
    silence = [np.zeros(block, np.float32)] * (1 + late // block)
    longer = np.concatenate(list(separator.blocks([*pieces, *silence], rate, block=block)))
    np.testing.assert_array_equal(found, longer[: len(found)])
    assert len(found) == 40 * block + late and found[-late // 4 :].any()


def test_a_stream_that_ended_leaves_no_session(bundle: Bundle) -> None:
    """Also one that was given up, and without the help of the garbage collector."""
    separator = Separator("piano", model=bundle)
    gc.disable()
    try:
        for whole in (True, False):
            stream: Any = separator.blocks([noise(256)] * 3, RATE)
            next(stream)
            (processor,) = [one for one in separator._made if one._chain is not None]
            list(stream) if whole else stream.close()
            assert processor._chain is None
            del processor
    finally:
        gc.enable()


def test_a_rate_is_a_whole_number_of_any_type(bundle: Bundle) -> None:
    separator, audio = Separator("piano", model=bundle), noise(512)
    rates: tuple[Any, ...] = (44_100, 44_100.0, np.int64(44_100))
    found = [np.concatenate(list(separator.blocks([audio], rate))) for rate in rates]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    wrong: tuple[Any, ...] = (44_100.5, 0, math.nan, math.inf)
    for rate in wrong:
        with pytest.raises(ValueError, match=r"a rate of .*, expected whole Hertz"):
            separator(audio, rate)
        with pytest.raises(ValueError, match=r"a rate of .*, expected whole Hertz"):
            next(separator.blocks([audio], rate))


def test_a_promised_block_size_is_less_late(bundle: Bundle) -> None:
    audio, separator = noise(1280)[:, 0], Separator("piano", model=bundle)
    late = separator.latency(RATE, 128).total
    assert late == separator.latency(RATE).total - 127
    blocks = separator.blocks(np.split(audio, 10), RATE, block=128)
    stream = np.concatenate(list(blocks))
    np.testing.assert_array_equal(stream[late:], separator(audio, RATE)[:-late])


def test_streams_do_not_know_of_each_other(bundle: Bundle) -> None:
    separator = Separator("piano", model=bundle)
    one, two = ([noise(256, seed=s)] * 4 for s in (1, 2))
    alone = [np.concatenate(list(separator.blocks(pieces, RATE))) for pieces in (one, two)]
    streams = separator.blocks(one, RATE), separator.blocks(two, RATE)
    mixed = [(next(streams[0]), separator(one[0], RATE), next(streams[1])) for _ in range(4)]
    np.testing.assert_array_equal(np.concatenate([m[0] for m in mixed]), alone[0])
    np.testing.assert_array_equal(np.concatenate([m[2] for m in mixed]), alone[1])


def test_other_words_are_heard_by_streams_that_play(bundle: Bundle) -> None:
    separator, audio = Separator("piano", model=bundle), noise(24_000)

    def pieces() -> Iterator[Audio]:
        for number, piece in enumerate(np.split(audio, 100)):
            if number == 20:
                separator.ask("dog")
            yield piece

    stream = np.concatenate(list(separator.blocks(pieces(), RATE)))
    late, settled = separator.latency(RATE).total, 48 * 240  # words have glided over by then
    assert separator.queries == ("dog",)
    whole = separator(audio, RATE)
    np.testing.assert_allclose(stream[settled:], whole[settled - late : -late], atol=1e-5)
    before = Separator("piano", model=bundle)(audio, RATE)
    np.testing.assert_array_equal(stream[late : 20 * 240], before[: 20 * 240 - late])


def test_a_processor_has_the_same_words(bundle: Bundle) -> None:
    audio = noise(2048)
    separator = Separator("piano", negatives=["dog"], model=bundle, mode="remove")
    found = separate_array(separator.processor(), audio, RATE)
    np.testing.assert_array_equal(found, separator(audio, RATE))


def test_channels_linked_are_masked_alike(bundle: Bundle) -> None:
    left = noise(4000)
    alone = Separator("piano", model=bundle, linked=True)(np.hstack([left, 0.25 * left]), RATE)
    np.testing.assert_allclose(alone[:, 1], 0.25 * alone[:, 0], atol=1e-6)


def test_what_is_not_audio_is_refused(bundle: Bundle) -> None:
    separator = Separator("piano", model=bundle)
    for wrong in (noise(48_000).T, noise(8)[None], np.zeros((8, 0), np.float32)):
        with pytest.raises(ValueError, match=r"expected \(frames,\) or \(frames, channels\)"):
            separator(wrong, RATE)
    integers: Any = np.zeros(8, np.int16)
    with pytest.raises(ValueError, match="samples of type int16, expected floats"):
        next(separator.blocks([integers], RATE))


def test_what_cannot_be_asked_for_is_refused(bundle: Bundle) -> None:
    with pytest.raises(QueryError, match="'residual' is what the rest is called"):
        Separator("residual", model=bundle)
    with pytest.raises(QueryError, match="both asked for and not wanted"):
        Separator("piano", negatives="Piano", model=bundle)
    with pytest.raises(BundleError, match="no model 'nothing'"):
        Separator("piano", model="nothing")
    separator = Separator("piano", model=bundle)
    with pytest.raises(ValueError, match=r"found 2 queries and 0 negatives, .* made for 1 and 0"):
        separator.ask("piano", "dog")
    with pytest.raises(QueryError, match="'toy-encoder' does not ship"):
        separator.ask("words that it does not know")
    assert separator.queries == ("piano",)

    def load(name: str) -> TextEncoder:
        raise ImportError(f"no {name} today")

    with pytest.raises(QueryError, match="no toy-encoder today"):
        Separator("words that it does not know", model=bundle, load=load)
