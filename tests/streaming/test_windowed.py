"""Windowed sessions against windows by brute force: every block cut, framed and run on its own."""

import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.runtime.errors import BundleError
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor
from soloist.streaming.stft import StreamingISTFT, StreamingSTFT
from soloist.streaming.windowed import WindowedSession

Toys = Callable[..., Any]
Audio = NDArray[np.float32]


def noise(channels: int, hops: int, hop: int = 16, seed: int = 0) -> Audio:
    shape = (channels, hops * hop)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def play(session: WindowedSession, audio: Audio, *, each: Callable[[], None] | None = None) -> Any:
    """Stems [Q, channels, samples] of (channels, samples), as the engine would: late by the delay.

    `each` is called after each hop.
    """
    frames, channels = session.spec.frames, len(audio)
    rows, hop = channels * session.queries, frames.hop
    stft, istft = StreamingSTFT(frames, channels), StreamingISTFT(frames, rows)
    spectrum = session.spectrum.view(np.complex64)[..., 0]
    stems = session.stems.view(np.complex64).reshape(rows, frames.bins)
    out = np.zeros((rows, audio.shape[1]), np.float32)
    for start in range(0, audio.shape[1], hop):
        stft.newest[...] = audio[:, start : start + hop]
        session.hear(stft.newest)
        stft.analyse(spectrum)
        session.step()
        istft.synthesise(stems, out[:, start : start + hop])
        stft.advance()
        if each is not None:
            each()
    return out.reshape(channels, session.queries, -1).swapaxes(0, 1)


def hann(n_fft: int) -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft))


@cache
def network(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def block_masks(toy: Any, audio: Audio, begin: int, conditioning: Any) -> NDArray[Any]:
    """Masks [channels, Q, F, E] of the block that begins at sample `begin`, padded as in training.

    What is not there yet is silence.
    """
    spec, (channels, samples) = toy.spec, audio.shape
    n_fft, hop, size = spec.frames.n_fft, spec.frames.hop, spec.window_samples
    block = np.zeros((channels, size))
    for at in range(size):
        position = begin + at
        if position < 0 and spec.fill == "repeat":
            position %= begin + size
        if 0 <= position < samples:
            block[:, at] = audio[:, position]
    mode: Any = "constant" if spec.frames.padding == "zeros" else "reflect"
    padded = np.pad(block, ((0, 0), (n_fft // 2, n_fft // 2)), mode=mode)
    starts = range(0, size + 1, hop)
    columns = [np.fft.rfft(padded[:, start : start + n_fft] * hann(n_fft)) for start in starts]
    spectra = np.stack(columns, axis=-1)
    blocks = np.stack([spectra.real, spectra.imag], axis=-1).astype(np.float32)
    given = {} if conditioning is None else {"conditioning": conditioning}
    found = [
        network(toy.path).run(None, {"spectrogram": one[None], **given})[0][0] for one in blocks
    ]
    masks = np.stack(found).astype(float)
    return masks[..., 0] + 1j * masks[..., 1] if masks.shape[-1] == 2 else masks[..., 0]


def brute_force(
    toy: Any,
    audio: Audio,
    *,
    advance: int | None = None,
    lookahead: int | None = None,
    conditioning: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """The stems [Q, channels, n_fft + samples], from n_fft before `audio`, in double precision.

    From the definition alone: window v plays the stream's frames vA to (v+1)A - 1, stream frame i
    ends with hop i, and the newest frame that a window uses has L frames of its block to its right.
    """
    spec = toy.spec
    n_fft, hop, width = spec.frames.n_fft, spec.frames.hop, spec.window_frames
    baked, emitted, fade = spec.lookahead_frames, spec.emitted_frames, spec.crossfade_frames
    advance = spec.advance_frames if advance is None else advance
    lookahead = baked if lookahead is None else lookahead
    channels, samples = audio.shape
    frames = (samples + n_fft) // hop  # in the last ones of these is no sound
    masks: list[Any] = [None] * (frames + advance + fade)
    for first in range(0, frames, advance):
        newest = first + advance + fade - 1 + lookahead  # the block's last frame, in the stream
        begin = (newest + 1) * hop - n_fft // 2 - (width - 1) * hop
        found = block_masks(toy, audio, begin, conditioning)
        for index in range(advance + fade):
            frame = first + index
            mask = found[..., emitted + baked - 1 - (newest - frame)]
            if first and index < fade:
                own = (index + 1) / (fade + 1)
                mask = own * mask + (1 - own) * masks[frame]
            masks[frame] = mask
    signal = np.pad(audio.astype(float), ((0, 0), (n_fft, 2 * n_fft)))
    rebuilt = np.zeros((channels, masks[0].shape[1], signal.shape[1]))
    weight = np.zeros(signal.shape[1])
    for start in range(hop, samples + 2 * n_fft, hop):  # frame 0 first, padded by a frame
        weight[start : start + n_fft] += hann(n_fft) ** 2
        frame = start // hop - 1
        if frame < frames:
            spectrum = np.fft.rfft(signal[:, start : start + n_fft] * hann(n_fft))
            made = np.fft.irfft(masks[frame] * spectrum[:, None], n_fft)
            rebuilt[..., start : start + n_fft] += made * hann(n_fft)
    # Frames before the stream began are silent, but windows they are.
    for start in range(0, -n_fft, -hop):
        weight[: start + n_fft] += hann(n_fft)[-start:] ** 2
    inner = slice(0, n_fft + samples)
    return np.asarray(rebuilt[..., inner] / weight[inner]).swapaxes(0, 1)


def late(stems: NDArray[Any], session: WindowedSession) -> NDArray[Any]:
    """What a session should give: nothing for as long as its latency, then the stems.

    Not quite nothing: a masked frame sounds on both sides of the audio that was in it.
    """
    frames = session.spec.frames
    delay = session.schedule.latency_samples - frames.hop - frames.n_fft
    samples = stems.shape[-1] - frames.n_fft
    assert delay >= 0
    return np.pad(stems, ((0, 0), (0, 0), (delay, 0)))[..., :samples]


CASES: list[dict[str, Any]] = [
    {},
    {"padding": "reflect"},
    {"fill": "repeat"},
    {"fill": "repeat", "padding": "reflect", "samples": 512},
    {"hop": 20, "samples": 650},  # does not divide 64
    {"n_fft": 62, "hop": 16, "padding": "reflect"},
    {"n_fft": 128, "hop": 20, "samples": 640, "padding": "reflect"},
    {"crossfade": 0},
    {"crossfade": 5, "advance": 5},
    {"baked": 0, "emitted": 32, "advance": 30},  # the whole window
    {"parts": 2},
    {"queries": 3},
    {"queries": 3, "parts": 2, "batch": 1},
    {"folded": True},
]


@pytest.mark.parametrize("choices", CASES, ids=str)
@pytest.mark.parametrize("channels", [1, 2])
def test_is_the_windows_by_brute_force(
    windowed_toy: Toys, choices: dict[str, Any], channels: int
) -> None:
    toy = windowed_toy(**choices)
    session = WindowedSession(toy.bundle, channels=channels, device="cpu", pace="wait")
    audio = noise(channels, 90, toy.spec.frames.hop)
    expected = late(brute_force(toy, audio), session)
    np.testing.assert_allclose(play(session, audio), expected, atol=2e-6)


@pytest.mark.parametrize("choices", [{}, {"hop": 20, "samples": 650, "fill": "repeat"}], ids=str)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_advance_and_look_ahead(
    windowed_toy: Toys, choices: dict[str, Any], data: st.DataObject
) -> None:
    toy = windowed_toy(**choices)
    lookahead = data.draw(st.integers(2, 15))
    advance = data.draw(st.integers(2, 20 - 2 - (lookahead - 2)))
    session = WindowedSession(
        toy.bundle, device="cpu", pace="wait", advance=advance, lookahead=lookahead
    )
    audio = noise(1, 70, toy.spec.frames.hop)
    expected = brute_force(toy, audio, advance=advance, lookahead=lookahead)
    np.testing.assert_allclose(play(session, audio), late(expected, session), atol=2e-6)


@pytest.mark.parametrize("hop", [16, 20])
def test_a_file_is_separated_by_the_same_windows(windowed_toy: Toys, hop: int) -> None:
    """Through the whole processor, in blocks that fit nothing; stems and residual are the input."""
    toy = windowed_toy(queries=2, hop=hop, samples=650)
    audio = 0.1 * noise(2, 83, hop)[:, : 80 * hop + 5].T
    processor = Processor(toy.bundle, outputs="stems", device="cpu")
    *stems, residual = separate_array(processor, audio, 16_000, block_size=37)
    padded = np.pad(audio.T, ((0, 0), (0, hop - 5)))
    expected = brute_force(toy, padded)[..., toy.spec.frames.n_fft :][..., : len(audio)]
    np.testing.assert_allclose(np.swapaxes(stems, 1, 2), expected, atol=1e-6)
    np.testing.assert_allclose(np.sum(stems, axis=0) + residual, audio, atol=1e-6)


def test_other_queries_from_the_start(windowed_toy: Toys) -> None:
    toy, audio = windowed_toy(queries=2), noise(1, 60)
    other = np.array([[1.0, -2.0], [0.5, 1.5]], np.float32)
    expected = brute_force(toy, audio, conditioning=other)
    session = WindowedSession(toy.bundle, device="cpu", pace="wait", conditioning=other)
    np.testing.assert_allclose(play(session, audio), late(expected, session), atol=2e-6)


def test_other_queries_are_heard_from_the_next_window_on(windowed_toy: Toys) -> None:
    toy, audio = windowed_toy(queries=2), noise(1, 120)
    other = np.array([[1.0, -2.0], [0.5, 1.5]], np.float32)
    session = WindowedSession(toy.bundle, device="cpu", pace="wait")
    given = other.copy()

    def change() -> None:
        hops.pop()
        if len(hops) == 120 - 40:
            session.set_conditioning(given)
            given.fill(0.0)  # the session has its own copy

    hops = [0] * 120
    out = play(session, audio, each=change)
    own, new = (late(brute_force(toy, audio, conditioning=c), session) for c in (None, other))
    schedule = session.schedule
    np.testing.assert_allclose(out[..., : 40 * 16], own[..., : 40 * 16], atol=2e-6)
    # The next launch is an advance away at most, and frames overlap for three hops.
    changed = 40 + schedule.advance + schedule.compute + schedule.crossfade + 3
    np.testing.assert_allclose(out[..., changed * 16 :], new[..., changed * 16 :], atol=2e-6)
    assert np.abs(out - own).max() > 0.01


def test_queries_that_do_not_fit_are_refused(windowed_toy: Toys) -> None:
    folded = windowed_toy(folded=True).bundle
    with pytest.raises(ValueError, match="folded"):
        WindowedSession(folded, device="cpu", pace="wait", conditioning=np.ones((1, 2), np.float32))
    session = WindowedSession(windowed_toy().bundle, device="cpu", pace="wait")
    with pytest.raises(ValueError, match=r"this network takes \(1, 2\)"):
        session.set_conditioning(np.ones((2, 2), np.float32))


def test_what_is_no_windowed_bundle_is_refused(toy_bundle: Toys) -> None:
    with pytest.raises(BundleError, match="streaming, it has no windows"):
        WindowedSession(toy_bundle().bundle, device="cpu", pace="wait")


# --- the standard four, but for the chunks, which are the processor's --------------------------


def test_nothing_is_heard_before_its_time(windowed_toy: Toys) -> None:
    """Causality: audio after a hop changes nothing up to that hop."""
    toy, audio = windowed_toy(), noise(2, 80)
    changed = audio.copy()
    changed[:, 50 * 16 :] = noise(2, 30, seed=9)
    first, second = (
        play(WindowedSession(toy.bundle, channels=2, device="cpu", pace="wait"), each)
        for each in (audio, changed)
    )
    np.testing.assert_array_equal(first[..., : 50 * 16], second[..., : 50 * 16])
    assert np.abs(first - second).max() > 0.1


def test_the_tail_ends_when_the_last_frame_has_left(windowed_toy: Toys) -> None:
    toy = windowed_toy()
    session = WindowedSession(toy.bundle, device="cpu", pace="wait")
    audio = noise(1, 90)
    audio[:, 20 * 16 :] = 0.0
    out = play(session, audio)
    tail = session.schedule.latency_samples - 16 + toy.spec.frames.n_fft - 1
    assert np.abs(out[..., 20 * 16 + tail - 64 :][..., :64]).max() > 1e-6
    assert not out[..., 20 * 16 + tail :].any()


@pytest.mark.parametrize("used", [3, 33, 64])
def test_the_second_use_is_the_first_again(windowed_toy: Toys, used: int) -> None:
    session = WindowedSession(windowed_toy(fill="repeat").bundle, device="cpu", pace="wait")
    first = play(session, noise(1, used))
    play(session, noise(1, 21, seed=5))
    session.reset()
    assert not session.stems.any()
    np.testing.assert_array_equal(play(session, noise(1, used)), first)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_allocates_no_arrays(windowed_toy: Toys, parts: int) -> None:
    toy = windowed_toy(parts=parts, queries=2, n_fft=512, hop=128, samples=4096)
    session = WindowedSession(toy.bundle, channels=2, device="cpu", pace="wait")
    samples = noise(2, 1, 128)
    hops = session.schedule.first_launch + 3 * session.schedule.advance + 1
    for _ in range(hops):
        session.hear(samples)
        session.step()
    tracemalloc.start()
    for _ in range(session.schedule.advance - 1):  # up to the next launch
        session.hear(samples)
        session.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < session.spectrum.nbytes / 2
