import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.linking import LinkedMasks

Spectrum = NDArray[np.complex64]

BINS = 65


def normal(rng: np.random.Generator, *shape: int) -> Spectrum:
    values = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return values.astype(np.complex64)


def linked(spectrum: Spectrum, stems: Spectrum) -> Spectrum:
    result = stems.copy()
    LinkedMasks(*stems.shape).apply(spectrum, result)
    return result


def reference(spectrum: Spectrum, stems: Spectrum) -> NDArray[np.complex128]:
    """Bin by bin the least-squares solution of numpy, for the one mask of all channels."""
    result = np.zeros(stems.shape, complex)
    for query in range(stems.shape[1]):
        for bin_ in range(stems.shape[2]):
            inputs = spectrum[:, bin_].astype(complex)
            wanted = stems[:, query, bin_].astype(complex)
            mask = np.linalg.lstsq(inputs[:, None], wanted, rcond=None)[0][0]
            result[:, query, bin_] = mask * inputs
    return result


@settings(max_examples=20, deadline=None)
@given(
    channels=st.integers(1, 6),
    queries=st.integers(1, 4),
    level_db=st.integers(-160, 100),
    seed=st.integers(0, 99),
)
def test_is_the_least_squares_mask(channels: int, queries: int, level_db: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = np.float32(10 ** (level_db / 20))
    spectrum = normal(rng, channels, BINS) * level
    stems = normal(rng, channels, queries, BINS) * level
    expected = stems if channels == 1 else reference(spectrum, stems)
    assert np.abs(linked(spectrum, stems) - expected).max() < 2e-6 * np.abs(expected).max()


def test_mono_is_left_alone_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    spectrum, stems = normal(rng, 1, BINS), normal(rng, 1, 3, BINS)
    assert np.array_equal(linked(spectrum, stems), stems)


def test_a_mask_that_all_channels_share_stays() -> None:
    rng = np.random.default_rng(1)
    spectrum, mask = normal(rng, 2, BINS), rng.uniform(0, 1, (1, 2, BINS)).astype(np.float32)
    stems = (mask * spectrum[:, None]).astype(np.complex64)
    assert np.abs(linked(spectrum, stems) - stems).max() < 1e-6


@pytest.mark.parametrize("pan", [(1.0, 0.0), (0.8, 0.6), (0.7, -0.7), (1.0, 1e-3)])
def test_a_panned_source_keeps_its_place(pan: tuple[float, float]) -> None:
    """However the network treats the channels, also where one is the other's negative or silent."""
    rng = np.random.default_rng(2)
    source = normal(rng, BINS)
    spectrum = np.stack([np.float32(gain) * source for gain in pan])
    stems = (rng.uniform(0, 1, (2, 1, BINS)) * spectrum[:, None]).astype(np.complex64)
    left, right = linked(spectrum, stems)[:, 0]
    assert np.abs(left * pan[1] - right * pan[0]).max() < 1e-6 * np.abs(source).max()
    assert np.abs(left).max() > 0.1


def test_levels_between_channels_are_those_of_the_input() -> None:
    rng = np.random.default_rng(3)
    levels = np.array([[1], [0.5], [0.1], [2], [1e-3], [0.7]], np.float32)
    spectrum = normal(rng, 6, BINS) * levels
    result = linked(spectrum, normal(rng, 6, 2, BINS))
    for query in range(2):
        gains = np.abs(result[:, query]) / np.abs(spectrum)
        assert np.allclose(gains, gains[0], rtol=1e-5)


def test_silence_gives_silence() -> None:
    rng = np.random.default_rng(4)
    spectrum, stems = normal(rng, 2, BINS), normal(rng, 2, 2, BINS)
    spectrum[:, ::2] = 0.0
    spectrum[:, 1::4] = 1e-30
    result = linked(spectrum, stems)
    assert np.isfinite(result).all()
    assert not result[..., ::2].any()
    assert not linked(spectrum * 0, stems).any()


def test_allocates_nothing() -> None:
    rng = np.random.default_rng(5)
    spectrum, stems = normal(rng, 2, 513), normal(rng, 2, 3, 513)
    masks = LinkedMasks(2, 3, 513)
    masks.apply(spectrum, stems)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(10):
        masks.apply(spectrum, stems)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < stems[0, 0].nbytes


@pytest.mark.parametrize("shape", [(0, 1, 5), (2, 0, 5), (2, 1, 0)])
def test_refuses_nothing_to_link(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LinkedMasks(*shape)
