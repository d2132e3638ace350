"""Sessions against the toy's closed form and against onnxruntime run by hand."""

import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from soloist.runtime import compute
from soloist.runtime.bundle import Bundle
from soloist.runtime.compute import count_cuda_devices
from soloist.runtime.errors import DeviceError
from soloist.runtime.session import HopSession, PassThroughSession, Session

Toys = Callable[..., Any]
Floats = NDArray[np.float32]

HOPS = 12


def spectra(channels: int = 1, bins: int = 513, hops: int = HOPS, seed: int = 0) -> Floats:
    shape = (hops, channels, bins, 2)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def play(session: HopSession, hops: Floats) -> Floats:
    """Stems of each hop [hops, B, Q, F, 2], read as the engine reads them."""
    stems = []
    for spectrum in hops:
        session.spectrum[:] = spectrum
        session.step()
        stems.append(session.stems.copy())
    return np.stack(stems)


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_are_the_closed_form(toy_bundle: Toys, queries: int, channels: int) -> None:
    toy = toy_bundle(queries=queries)
    session = Session(toy.bundle, channels=channels, device="cpu")
    assert session.spectrum.shape == (channels, 513, 2)
    assert session.stems.shape == (channels, queries, 513, 2)
    assert (session.queries, session.state_size, session.provider) == (queries, 8, "cpu")
    hops = spectra(channels)
    np.testing.assert_allclose(play(session, hops), toy.reference(hops), atol=2e-6)


def test_stems_are_those_of_onnxruntime_run_by_hand(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(queries=2), spectra(2)
    by_hand = onnxruntime.InferenceSession(str(toy.path), providers=["CPUExecutionProvider"])
    state, expected = np.zeros((2, 8), np.float32), []
    for spectrum in hops:
        stems, state = by_hand.run(["stems", "next_state"], {"spectrum": spectrum, "state": state})
        expected.append(stems)
    played = play(Session(toy.bundle, channels=2, device="cpu"), hops)
    np.testing.assert_array_equal(played, np.stack(expected))


def test_the_buffers_stay_the_same_arrays(toy_bundle: Toys) -> None:
    session = Session(toy_bundle().bundle, device="cpu")
    spectrum, stems = session.spectrum, session.stems
    play(session, spectra())
    assert session.spectrum is spectrum
    assert session.stems is stems


def test_channels_do_not_hear_each_other(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(queries=2), spectra(2)
    both = play(Session(toy.bundle, channels=2, device="cpu"), hops)
    for channel in (0, 1):
        alone = play(Session(toy.bundle, device="cpu"), hops[:, [channel]])
        np.testing.assert_allclose(both[:, [channel]], alone, rtol=1e-6, atol=1e-7)


def test_sessions_do_not_share_state(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(), spectra()
    first, second = (Session(toy.bundle, device="cpu") for _ in range(2))
    alone = play(first, hops)
    first.reset()
    for at, spectrum in enumerate(hops):
        play(second, spectra(seed=at + 1, hops=2))
        np.testing.assert_array_equal(play(first, spectrum[None])[0], alone[at])


@pytest.mark.parametrize("used", [1, 2, 5])  # an odd and an even number of state swaps
def test_reset_makes_the_second_use_equal_the_first(toy_bundle: Toys, used: int) -> None:
    session, hops = Session(toy_bundle().bundle, device="cpu"), spectra()
    first = play(session, hops[:used])
    session.reset()
    np.testing.assert_array_equal(play(session, hops[:used]), first)


def test_a_bad_hop_is_forgotten_by_reset(toy_bundle: Toys) -> None:
    session, hops = Session(toy_bundle().bundle, device="cpu"), spectra()
    expected = play(session, hops)
    assert np.isnan(play(session, np.full_like(hops[:3], np.nan))).all()
    session.reset()
    np.testing.assert_array_equal(play(session, hops), expected)


def test_later_hops_do_not_change_earlier_ones(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(), spectra()
    changed = hops.copy()
    changed[6:] = spectra(seed=9)[6:]
    played = [play(Session(toy.bundle, device="cpu"), each) for each in (hops, changed)]
    np.testing.assert_array_equal(played[0][:6], played[1][:6])


def test_conditioning_replaces_the_baked_queries(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(queries=1), spectra()
    gates = np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32)
    session = Session(toy.bundle, device="cpu", conditioning=gates)
    assert session.queries == 4
    expected = toy.reference(hops, gates)
    gates[:] = 0  # the session has its own copy
    np.testing.assert_allclose(play(session, hops), expected, atol=2e-6)


def test_new_words_in_mid_stream_keep_the_state(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(queries=2), spectra()
    session = Session(toy.bundle, device="cpu")
    asked = [np.float32(factor) * toy.conditioning[::-1] for factor in (1, -2)]
    play(session, hops[:4])
    for start, gates in zip((4, 7), asked, strict=True):
        session.set_conditioning(gates)
        stop = start + 3
        expected = toy.reference(hops[:stop], gates)[start:]
        np.testing.assert_allclose(play(session, hops[start:stop]), expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(2, 8), (1, 7), (8,)])
def test_conditioning_of_another_shape_is_refused(toy_bundle: Toys, shape: tuple[int]) -> None:
    session = Session(toy_bundle().bundle, device="cpu")
    with pytest.raises(ValueError, match=r"this session takes \(1, 8\)"):
        session.set_conditioning(np.zeros(shape, np.float32))


def test_a_step_allocates_no_arrays(toy_bundle: Toys) -> None:
    session = Session(toy_bundle().bundle, device="cpu")
    play(session, spectra())
    tracemalloc.start()
    for _ in range(5):
        session.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < session.spectrum.nbytes  # the smallest array a step could make


def test_loading_is_quick(toy_bundle: Toys) -> None:
    path, seconds = toy_bundle().path, []
    for _ in range(3):
        started = time.perf_counter()
        Session(Bundle.open(path))
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5


# --- devices -------------------------------------------------------------------------------------

without_cuda = pytest.mark.skipif(count_cuda_devices() > 0, reason="a CUDA device is here")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "cpu:0", ""])
def test_an_unknown_device_is_refused(toy_bundle: Toys, device: str) -> None:
    with pytest.raises(DeviceError, match="use auto, cpu, cuda or cuda:<index>"):
        Session(toy_bundle().bundle, device=device)


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_a_providers_session_keeps_its_numbers_here(
    toy_bundle: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any of onnxruntime's providers will do: here its CPU's, by another name."""
    monkeypatch.setitem(compute.OTHERS, "another", "CPUExecutionProvider")
    toy, hops = toy_bundle(queries=2), spectra()
    session = Session(toy.bundle, device="another")
    assert session.provider == "another"
    np.testing.assert_allclose(play(session, hops), toy.reference(hops), atol=2e-6)


@pytest.mark.parametrize("device", compute.OTHERS)
def test_a_provider_that_is_not_there_is_refused(
    toy_bundle: Toys, device: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if compute.OTHERS[device] in onnxruntime.get_available_providers():
        if device != "tensorrt":
            pytest.skip("it is there")
        # Built in, but without the maker's libraries; where they are, there is nothing to refuse.
        try:
            Session(toy_bundle().bundle, device=device)
        except DeviceError as error:
            assert "use device cpu" in str(error)
            assert capfd.readouterr() == ("", "")
        return
    with pytest.raises(DeviceError, match=f"built without {compute.OTHERS[device]}"):
        Session(toy_bundle().bundle, device=device)


def test_unfolded_weights_are_multiplied_as_float32() -> None:
    """Against the graph as it is written, whose int8 weights become float32 before each product."""
    bundle, hops = Bundle.open("solo"), spectra(hops=3)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    by_hand = onnxruntime.InferenceSession(str(bundle.path), options)
    state, expected = np.zeros((1, bundle.state_size), np.float32), []
    for spectrum in hops:
        stems, state = by_hand.run(None, {"spectrum": spectrum, "state": state})
        expected.append(stems)
    unfolded = play(Session(bundle, device="cpu", unfold=True), hops)
    np.testing.assert_allclose(unfolded, expected, atol=1e-4)
    assert np.abs(play(Session(bundle, device="cpu"), hops) - expected).max() > 1e-3


@pytest.mark.parametrize("device", ["cuda:99", pytest.param("cuda", marks=without_cuda)])
def test_a_device_that_is_not_there_is_refused(toy_bundle: Toys, device: str) -> None:
    with pytest.raises(DeviceError, match="no CUDA device"):
        Session(toy_bundle().bundle, device=device)


@without_cuda
def test_auto_takes_the_cpu_in_silence(toy_bundle: Toys) -> None:
    code = (
        "from soloist.runtime.bundle import Bundle; from soloist.runtime.session import Session;"
        f"print(Session(Bundle.open({str(toy_bundle().path)!r})).provider)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("cpu\n", "")


@without_cuda
@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="this onnxruntime has no CUDA provider",
)
def test_a_gpu_without_its_libraries(
    toy_bundle: Toys, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compute, "count_cuda_devices", lambda: 1)
    assert Session(toy_bundle().bundle, device="auto").provider == "cpu"
    with pytest.raises(DeviceError, match=r'pip install "soloist\[cuda\]"'):
        Session(toy_bundle().bundle, device="cuda")
    assert capfd.readouterr() == ("", "")


def play_with_changes(session: HopSession, hops: Floats, words: Floats) -> Floats:
    """Twice the same: some hops, other words, more hops, yet other words; a reset in between."""
    played = []
    for _ in range(2):
        played.append(play(session, hops[:3]))
        session.set_conditioning(-words)
        played.append(play(session, hops[3:8]))
        session.set_conditioning(words)
        played.append(play(session, hops[8:]))
        session.reset()
    return np.concatenate(played)


def test_our_part_of_a_cuda_session(toy_bundle: Toys, fake_cuda: Any) -> None:
    toy, hops = toy_bundle(queries=2), spectra(2)
    session = Session(toy.bundle, channels=2, device="cuda")
    assert session.provider == "cuda:0"
    sizes = {each.ctypes.data: each.nbytes for each in (session.spectrum, session.stems)}
    assert fake_cuda.locked == sizes
    found = play_with_changes(session, hops, toy.conditioning)
    first = toy.reference(hops[:8], -toy.conditioning)
    np.testing.assert_allclose(found[:3], toy.reference(hops[:3]), atol=2e-6)
    np.testing.assert_allclose(found[3:8], first[3:], atol=2e-6)
    np.testing.assert_allclose(found[8:12], toy.reference(hops)[8:], atol=2e-6)
    np.testing.assert_array_equal(found[12:], found[:12])
    del session
    gc.collect()
    assert not fake_cuda.locked


def test_auto_takes_the_cpu_where_cuda_fails_at_the_first_run(
    toy_bundle: Toys, fake_cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy, hops = toy_bundle(), spectra()
    monkeypatch.setattr(fake_cuda, "cuMemcpyDtoH_v2", lambda *_: 700)
    with pytest.raises(DeviceError, match="error 700"):
        Session(toy.bundle, device="cuda")
    session = Session(toy.bundle, device="auto")
    assert (fake_cuda.opened, session.provider) == (["cuda", "auto", "cpu"], "cpu")
    np.testing.assert_allclose(play(session, hops), toy.reference(hops), atol=2e-6)


@pytest.mark.gpu
@pytest.mark.usefixtures("a_gpu")
@pytest.mark.parametrize("channels", [1, 2, 32])
def test_cuda_plays_what_the_cpu_plays(toy_bundle: Toys, channels: int) -> None:
    toy, hops = toy_bundle(queries=2), spectra(channels)
    on_cuda = Session(toy.bundle, channels=channels, device="cuda")
    on_cpu = Session(toy.bundle, channels=channels, device="cpu")
    assert on_cuda.provider == "cuda:0"
    found, expected = (
        play_with_changes(session, hops, toy.conditioning) for session in (on_cuda, on_cpu)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.usefixtures("a_gpu")
def test_replayed_runs_are_those_of_a_plain_run(toy_bundle: Toys) -> None:
    toy, hops = toy_bundle(queries=2), spectra(2)
    recorded = Session(toy.bundle, channels=2, device="cuda")
    plain = Session(toy.bundle, channels=2, device="cuda", graphs=False)
    assert (recorded._records, plain._records) == (True, False)
    found, expected = (
        play_with_changes(session, hops, toy.conditioning) for session in (recorded, plain)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.gpu
@pytest.mark.usefixtures("a_gpu")
def test_cuda_plays_the_shipped_model() -> None:
    bundle, hops = Bundle.open("solo"), spectra(2, hops=50)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # as CUDA does
    by_hand = onnxruntime.InferenceSession(
        str(bundle.path), options, providers=["CPUExecutionProvider"]
    )
    state, expected = np.zeros((2, bundle.state_size), np.float32), []
    for spectrum in hops:
        stems, state = by_hand.run(["stems", "next_state"], {"spectrum": spectrum, "state": state})
        expected.append(stems)
    found = play(Session(bundle, channels=2, device="cuda"), hops)
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-4)


# --- the fake ------------------------------------------------------------------------------------


def test_pass_through_weighs_the_spectrum(toy_bundle: Toys) -> None:
    spec, hops = toy_bundle(queries=2).spec, spectra(2)
    session = PassThroughSession(spec, channels=2, weights=[0.5, -2.0])
    stems = play(session, hops)
    np.testing.assert_array_equal(stems[:, :, 0], hops * np.float32(0.5))
    np.testing.assert_array_equal(stems[:, :, 1], hops * np.float32(-2.0))
    session.set_conditioning(np.array([[1.0], [0.0]], np.float32))
    np.testing.assert_array_equal(play(session, hops)[:, :, 0], hops)
    with pytest.raises(ValueError, match=r"expected \(2, 1\)"):
        session.set_conditioning(np.ones((1, 1), np.float32))


def test_pass_through_stems_sum_to_the_input_by_default(toy_bundle: Toys) -> None:
    hops = spectra()
    stems = play(PassThroughSession(toy_bundle(queries=3).spec), hops)
    np.testing.assert_allclose(stems.sum(axis=2), hops, rtol=1e-6)
