"""A host at another rate than the model's, through the processor."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.session import PassThroughSession
from soloist.runtime.spec import Spec
from soloist.streaming.processor import Processor

Audio = NDArray[np.float32]
Play = Callable[..., Audio]
MakeSpec = Callable[..., Spec]
ErrorDb = Callable[[Audio, Audio], float]

RATES = (8_000, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)
PAIRS = [(host, model) for host in RATES for model in RATES if host != model]
LARGEST_BLOCK = 4096


def at_rate(spec: Spec, model: int) -> Spec:
    return replace(spec, sample_rate=model)


def prepared(
    session: PassThroughSession, host: int, block: int | None = None, outputs: str = "stems"
) -> Processor:
    processor = Processor(session, outputs=outputs)  # type: ignore[arg-type]
    processor.prepare(host, LARGEST_BLOCK, len(session.spectrum), block=block)
    return processor


def in_band(frames: int, pair: tuple[int, int], channels: int = 1) -> Audio:
    """Noise at the host's rate, up to 0.32 of the lower rate: what resampling leaves as it is."""
    rng = np.random.default_rng(frames)
    spectrum = np.fft.rfft(rng.standard_normal((frames, channels)), axis=0)
    spectrum[1 + int(0.32 * min(pair) / pair[0] * frames) :] = 0.0
    audio = np.fft.irfft(spectrum, frames, axis=0)
    scaled: Audio = (audio / (4 * np.abs(audio).max())).astype(np.float32)
    return scaled


def settled(pair: tuple[int, int], spec: Spec) -> int:
    """Host samples after which a stream that began abruptly has forgotten it."""
    host, model = pair
    return 200 + int((spec.frames.n_fft + 200) * host / model)


@pytest.mark.parametrize(
    "pair",
    [*PAIRS, *((rate, rate) for rate in RATES)],
    ids=lambda pair: f"{pair[0]}-host-{pair[1]}-model",
)
@pytest.mark.parametrize("block", [None, 128, 441, 4096])
def test_reported_is_measured(
    make_spec: MakeSpec, play: Play, error_db: ErrorDb, pair: tuple[int, int], block: int | None
) -> None:
    """Of all whole delays the reported one fits a network that changes nothing, and exactly."""
    host, model = pair
    spec = at_rate(make_spec(n_fft=256), model)
    processor = prepared(PassThroughSession(spec), host, block)
    delay, skip = processor.latency_samples, settled(pair, spec)
    frames = skip + delay + max(1500, 12 * 128 * host // model)
    frames += -frames % (block or 1)
    audio = in_band(frames, pair)
    stem = play(processor, audio, [block or 331])[0]
    errors = {
        shift: error_db(stem[delay + skip + shift :], audio[skip : frames - delay - shift])
        for shift in (-1, 0, 1)
    }
    assert errors[0] < -85
    assert min(errors[-1], errors[1]) > -60
    assert processor.counters.shortfall == 0
    assert processor.latency.total == sum(n for _, n in processor.latency.parts) == delay
    assert processor.latency.sample_rate == host
    assert min(n for _, n in processor.latency.parts) >= 0


@settings(max_examples=40, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    promised=st.sampled_from([None, 64, 480, 1000]),
    sizes=st.lists(st.integers(1, LARGEST_BLOCK), min_size=1, max_size=8),
    channels=st.sampled_from([1, 2, 6]),
)
def test_any_blocks_give_the_same_samples_also_the_second_time(
    make_spec: MakeSpec,
    recurrent: Callable[..., PassThroughSession],
    play: Play,
    pair: tuple[int, int],
    promised: int | None,
    sizes: list[int],
    channels: int,
) -> None:
    """To the bit, through a network with a memory. What is promised moves the grid of the hops."""
    host, model = pair
    session = recurrent(at_rate(make_spec(queries=2, n_fft=256), model), channels=channels)
    processor = prepared(session, host, promised)
    unit = promised or 1
    sizes = [-(-size // unit) * unit for size in sizes]
    audio = in_band(min(sum(sizes), 6000 // unit * unit), pair, channels)
    whole = play(processor, audio)
    processor.reset()
    assert np.array_equal(play(processor, audio, sizes), whole)
    assert processor.counters.shortfall == 0


@settings(max_examples=40, deadline=None)
@given(
    pair=st.sampled_from([*PAIRS, (47_999, 48_000), (11_025, 48_000), (48_000, 44_101)]),
    block=st.integers(1, LARGEST_BLOCK),
)
def test_a_promised_block_is_never_short(
    make_spec: MakeSpec, play: Play, error_db: ErrorDb, pair: tuple[int, int], block: int
) -> None:
    host, model = pair
    spec = at_rate(make_spec(n_fft=256), model)
    processor = prepared(PassThroughSession(spec), host, block)
    delay, skip = processor.latency_samples, settled(pair, spec)
    frames = skip + delay + 2000
    audio = in_band(frames + -frames % block, pair)
    stem = play(processor, audio, [block])[0]
    assert processor.counters.shortfall == 0
    assert error_db(stem[delay + skip :], audio[skip : len(audio) - delay]) < -85
    processor.set_block(None)
    assert delay <= processor.latency_samples


def test_another_block_in_mid_stream(make_spec: MakeSpec, play: Play, error_db: ErrorDb) -> None:
    """What comes after it is heard at the delay that is then reported."""
    pair = (44_100, 48_000)
    processor = prepared(PassThroughSession(make_spec()), pair[0], 441)
    audio = in_band(441 * 60, pair)
    play(processor, audio[: 441 * 20], [441])
    for block in (None, 64):
        processor.set_block(block)
        delay = processor.latency_samples
        stem = play(processor, audio[: 64 * 300], [64])[0]
        assert error_db(stem[3000 + delay :], audio[3000 : 64 * 300 - delay]) < -85
    assert processor.counters.shortfall == 0


@pytest.mark.parametrize("pair", [(44_100, 48_000), (96_000, 48_000), (16_000, 44_100)])
def test_is_causal(
    make_spec: MakeSpec,
    recurrent: Callable[..., PassThroughSession],
    play: Play,
    pair: tuple[int, int],
) -> None:
    """Other input from sample 3000 on changes nothing of the output before that sample."""
    session = recurrent(at_rate(make_spec(n_fft=256), pair[1]))
    processor = prepared(session, pair[0])
    audio = in_band(6000, pair)
    before = play(processor, audio, [100])
    audio[3000:] = in_band(3000, pair)
    processor.reset()
    after = play(processor, audio, [100])
    assert np.array_equal(before[:, :3000], after[:, :3000])
    assert not np.array_equal(before[:, 3000:], after[:, 3000:])


@pytest.mark.parametrize("pair", [(44_100, 48_000), (8_000, 48_000), (96_000, 48_000)])
@pytest.mark.parametrize("block", [None, 128])
def test_the_tail_ends_where_it_is_said_to(
    make_spec: MakeSpec, play: Play, pair: tuple[int, int], block: int | None
) -> None:
    """A network that smears each frame over all of it: the worst that a mask can do."""

    class Smearing(PassThroughSession):
        def step(self) -> None:
            mask = np.random.default_rng(0).uniform(-1, 1, self.stems.shape)
            np.multiply(self.spectrum[:, None], mask, out=self.stems)

    processor = prepared(Smearing(at_rate(make_spec(n_fft=512), pair[1])), pair[0], block)
    ends = []
    for last in range(1000, 1256, 5):
        audio = np.zeros((128 * 64, 1), np.float32)
        audio[last] = 1.0
        processor.reset()
        heard = play(processor, audio, [128]).any(axis=(0, 2))
        ends.append(int(np.flatnonzero(heard)[-1]) - last)
    assert max(ends) <= processor.tail_samples < len(audio) - 1256
    assert max(ends) >= processor.tail_samples - 128 * 2 * pair[0] / pair[1]


@pytest.mark.parametrize("pair", [(44_100, 48_000), (192_000, 48_000), (22_050, 16_000)])
def test_stems_and_residual_sum_to_the_input(
    make_spec: MakeSpec,
    recurrent: Callable[..., PassThroughSession],
    play: Play,
    noise: Callable[..., Audio],
    error_db: ErrorDb,
    pair: tuple[int, int],
) -> None:
    """Also what no model at its rate could hear: the input here is white."""
    session = recurrent(at_rate(make_spec(queries=3), pair[1]), channels=2)
    processor = prepared(session, pair[0])
    audio = noise(8000, 2)
    outputs = play(processor, audio, [500])
    delay = processor.latency_samples
    assert error_db(outputs.sum(axis=0)[delay:], audio[:-delay]) < -120
    assert not np.abs(outputs.sum(axis=0)[:delay]).max() > 1e-6


@pytest.mark.parametrize(
    ("host", "frequency"),
    [(8_000, 1000), (16_000, 1000), (22_050, 1000)]
    + [(host, frequency) for host in (44_100, 96_000, 192_000) for frequency in (1000, 10_000)],
)
def test_what_is_asked_for_is_gone_from_the_rest(
    make_spec: MakeSpec, play: Play, host: int, frequency: int
) -> None:
    """A tone that the network takes whole leaves nothing in the residual: they lie exactly."""
    processor = prepared(PassThroughSession(make_spec()), host)
    tone = 0.5 * np.sin(2 * np.pi * frequency / host * np.arange(host // 4))
    residual = play(processor, tone.astype(np.float32)[:, None], [300])[1]
    inner = residual[processor.latency_samples + host // 20 :]
    assert 20 * np.log10(np.abs(inner).max() / 0.5) < -85


def test_a_broken_promise_is_counted_and_keeps_the_delay(
    make_spec: MakeSpec, play: Play, error_db: ErrorDb
) -> None:
    pair = (44_100, 48_000)
    processor = prepared(PassThroughSession(make_spec()), pair[0], 441)
    delay = processor.latency_samples
    audio = in_band(441 * 40, pair)
    stem = play(processor, audio, [441] * 5 + [1] * 441 + [441])[0]
    assert processor.counters.shortfall
    later = 441 * 12
    assert error_db(stem[later + delay :], audio[later:-delay]) < -85


def test_bad_samples_do_not_spread(make_spec: MakeSpec, play: Play) -> None:
    processor = prepared(PassThroughSession(make_spec()), 44_100)
    audio = np.zeros((9000, 1), np.float32)
    audio[3000:3003, 0] = np.nan, np.inf, -np.inf
    assert not play(processor, audio, [128]).any()
    assert processor.counters.bad_input == 3


@pytest.mark.parametrize("host", [44_100, 96_000])
def test_allocates_no_more_than_the_resamplers_give(make_spec: MakeSpec, host: int) -> None:
    processor = prepared(PassThroughSession(make_spec(), channels=2), host, 128)
    audio = in_band(128, (host, 48_000), 2)
    out = np.empty((2, 128, 2), np.float32)
    for _ in range(100):
        processor.process(audio, out)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(100):
        processor.process(audio, out)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now - before < 2048
    assert peak - before < 16 * 1024


@pytest.mark.parametrize(
    ("host", "channels", "said"),
    [
        (100, 1, "found sample rates of 100 and 48000 Hz; one can be at most 256 times the other"),
        (0, 1, "found sample rates of 0 and 48000 Hz"),
        (44_100, 129, "129 channels"),
    ],
)
def test_refuses_in_a_line(make_spec: MakeSpec, host: int, channels: int, said: str) -> None:
    processor = Processor(PassThroughSession(make_spec(n_fft=256), channels=channels))
    with pytest.raises(ValueError, match=said):
        processor.prepare(host, 512, channels)
