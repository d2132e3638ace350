"""The networks of windowed bundles against onnxruntime run by hand."""

import gc
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import BundleError, DeviceError
from soloist.runtime.network import MaskNetwork

Toys = Callable[..., Any]
Floats = NDArray[np.float32]

BATCHES = pytest.mark.parametrize("batch", ["B", 1])


def fill(network: MaskNetwork, seed: int = 0) -> Floats:
    """Write noise into a network's spectrogram; a copy of it."""
    rng = np.random.default_rng(seed)
    rng.standard_normal(dtype=np.float32, out=network.spectrogram)
    return network.spectrogram.copy()


def masks_by_hand(toy: Any, spectrogram: Floats, conditioning: Floats | None = None) -> Floats:
    """One channel at a time, each in memory of its own."""
    session = onnxruntime.InferenceSession(str(toy.path), providers=["CPUExecutionProvider"])
    words = {} if conditioning is None else {"conditioning": conditioning}
    rows = [session.run(None, {"spectrogram": row[None], **words})[0] for row in spectrogram]
    return np.concatenate(rows)


def play_with_changes(network: MaskNetwork, words: Floats) -> Floats:
    """Masks of one window after another: of the baked queries, of others, of the baked again."""
    found = []
    for seed, asked in enumerate([None, words, -words, None, None, words]):
        fill(network, seed)
        found.append(network(asked).copy())
    return np.stack(found)


def changes_by_hand(toy: Any, network: MaskNetwork, words: Floats) -> Floats:
    """What `play_with_changes` should give."""
    given = [None, words, -words, None, None, words]
    return np.stack([masks_by_hand(toy, fill(network, n), asked) for n, asked in enumerate(given)])


@BATCHES
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("parts", [1, 2])
def test_masks_are_those_of_onnxruntime_run_by_hand(
    windowed_toy: Toys, batch: int | str, channels: int, parts: int
) -> None:
    toy = windowed_toy(queries=2, parts=parts, batch=batch)
    network = MaskNetwork(toy.bundle, channels=channels, device="cpu")
    assert (network.queries, network.parts, network.provider) == (2, parts, "cpu")
    words = np.array([[0.5, -1.0], [2.0, 1.0]], np.float32)
    found = play_with_changes(network, words)
    np.testing.assert_allclose(found, changes_by_hand(toy, network, words), atol=1e-6)


def test_made_with_other_queries_it_asks_for_them(windowed_toy: Toys) -> None:
    toy = windowed_toy(queries=1)
    words = np.random.default_rng(1).standard_normal((3, 2)).astype(np.float32)
    network = MaskNetwork(toy.bundle, device="cpu", conditioning=words)
    spectrogram = fill(network)
    for asked, sign in ((None, 1), (-words, -1), (None, 1)):
        expected = masks_by_hand(toy, spectrogram, np.float32(sign) * words)
        np.testing.assert_allclose(network(asked), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"conditioning is \(1, 2\), this network takes \(3, 2\)"):
        network(words[:1])


def test_masks_stay_the_same_array_and_a_window_allocates_none(windowed_toy: Toys) -> None:
    toy = windowed_toy(queries=2)
    network = MaskNetwork(toy.bundle, channels=2, device="cpu")
    masks = network()
    tracemalloc.start()
    for _ in range(3):
        assert network(toy.conditioning) is masks
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < masks.nbytes / 4


def test_a_graph_of_another_shape_is_refused(windowed_toy: Toys) -> None:
    """Such as one that gives what its bundle promises for silence, or for one channel, only."""
    toy = windowed_toy()
    spec = replace(toy.spec, emitted_frames=19)
    network = MaskNetwork(Bundle(toy.path, spec, {}, 0, 2), device="cpu")
    with pytest.raises(BundleError, match=r"cannot be run .*masks"):
        network()


# --- CUDA ----------------------------------------------------------------------------------------


@BATCHES
def test_our_part_of_a_cuda_network(windowed_toy: Toys, fake_cuda: Any, batch: int | str) -> None:
    toy = windowed_toy(queries=2, batch=batch)
    network = MaskNetwork(toy.bundle, channels=2, device="cuda")
    assert network.provider == "cuda:0"
    masks = network()
    sizes = {each.ctypes.data: each.nbytes for each in (network.spectrogram, masks)}
    assert fake_cuda.locked == sizes
    found = play_with_changes(network, toy.conditioning)
    expected = changes_by_hand(toy, network, toy.conditioning)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    del network, masks
    gc.collect()
    assert not fake_cuda.locked


@BATCHES
def test_all_that_is_recorded_is_so_on_a_thread_that_warms_up(
    windowed_toy: Toys, fake_cuda: Any, batch: int | str
) -> None:
    toy = windowed_toy(batch=batch)
    network = MaskNetwork(toy.bundle, channels=2, device="cuda")
    network()
    network(toy.conditioning)
    numbers = {number for _, number in fake_cuda.runs} - {"-1"}
    assert len(numbers) == (2 if batch == "B" else 4)
    fake_cuda.runs.clear()
    thread = threading.Thread(target=network.warm_up)
    thread.start()
    thread.join()
    assert {number for _, number in fake_cuda.runs} == numbers
    assert threading.get_ident() not in {number for number, _ in fake_cuda.runs}


def test_auto_takes_the_cpu_where_cuda_fails_at_the_first_window(
    windowed_toy: Toys, fake_cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = windowed_toy()
    monkeypatch.setattr(fake_cuda, "cuMemcpyDtoH_v2", lambda *_: 700)
    with pytest.raises(DeviceError, match="error 700"):
        MaskNetwork(toy.bundle, device="cuda")
    network = MaskNetwork(toy.bundle, device="auto")
    assert (fake_cuda.opened, network.provider) == (["cuda", "auto", "cpu"], "cpu")
    expected = masks_by_hand(toy, fill(network))
    np.testing.assert_allclose(network(), expected, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.usefixtures("a_gpu")
@BATCHES
@pytest.mark.parametrize("channels", [1, 2, 32])
def test_cuda_masks_as_the_cpu_does(windowed_toy: Toys, batch: int | str, channels: int) -> None:
    toy = windowed_toy(queries=2, parts=2, batch=batch)
    found, expected = (
        play_with_changes(
            MaskNetwork(toy.bundle, channels=channels, device=device), toy.conditioning
        )
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)
