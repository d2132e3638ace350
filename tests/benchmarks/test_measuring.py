"""Measurements hold what was played, for models of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from soloist.benchmarks import cold_start as cold_starts
from soloist.benchmarks.cold_start import cold_start
from soloist.benchmarks.derived import derived
from soloist.benchmarks.hops import Player
from soloist.benchmarks.measuring import BACK_TO_BACK, PACED, measure
from soloist.benchmarks.settings import Setting, sweep
from soloist.benchmarks.stages import PARTS, Clock
from soloist.benchmarks.streams import how_many
from soloist.export.precision import to_fp32
from soloist.runtime.bundle import Bundle
from soloist.runtime.errors import DeviceError, SoloistError
from soloist.runtime.session import Session

Toys = Callable[..., Any]


@pytest.fixture
def solo_fp32(tmp_path: Path) -> Bundle:
    """The shipped model with its weights stored in float32."""
    model = onnx.load(Bundle.open("solo").path)
    assert to_fp32(model) > 0
    for entry in model.metadata_props:
        entry.value = entry.value.replace('"precision": "int8"', '"precision": "fp32"')
    (tmp_path / "fp32").mkdir()
    onnx.save(model, tmp_path / "fp32" / "solo.onnx")
    return Bundle.open(tmp_path / "fp32" / "solo.onnx")


def test_settings_take_turns_beside_empty_hops(toy_bundle: Toys) -> None:
    bundle = toy_bundle().bundle
    settings = [Setting(), Setting(block=64, queries=3, channels=2)]
    looks: list[None] = []
    found = measure([Player(bundle, each) for each in settings], 0.2, lambda: looks.append(None))
    first, second = found.measurements
    assert (first.setting["block"], second.setting["block"]) == (128, 64)
    assert (second.setting["queries"], second.setting["channels"]) == (3, 2)
    for measured in found.measurements:
        paced, response = measured.paced, measured.response
        assert paced is not None and response is not None
        assert 0 < paced.n <= 0.2 * 48_000 / measured.block
        assert response.max_us >= paced.max_us
        assert measured.back_to_back.deadline_us == pytest.approx(measured.block / 48e-3)
        assert len(measured.warm_up_us) == round(0.05 * 48_000 / measured.block)
        assert measured.cpu_share is not None and 0 < measured.cpu_share < 2
    # 128 collected and 128 of overlap; with blocks of 64 the rest of a hop has to be waited for.
    assert (first.latency_ms, second.latency_ms) == (256 / 48, (64 + 64 + 128) / 48)
    # The first of each model is taken apart, the others only in two.
    assert first.parts_us is not None and second.parts_us is not None
    assert all(set(first.parts_us[way]) == set(PARTS) for way in (BACK_TO_BACK, PACED))
    assert set(second.parts_us[PACED]) == {"network", "all but the network"}
    # At the pace of the shorter block.
    assert 0 < found.wakeups.n <= 0.2 * 48_000 / 64
    assert not found.absent and looks


def test_windows_of_a_windowed_model_have_an_advance_to_be_made_in(windowed_toy: Toys) -> None:
    """Advances of 200 frames of 16 samples at 16 kHz: long enough for a busy machine."""
    bundle = windowed_toy(samples=8000, emitted=400, advance=200).bundle
    settings = [Setting(), Setting(advance=300)]
    found = measure([Player(bundle, each) for each in settings], 0.1)
    short, long = found.measurements
    assert short.windows is not None and long.windows is not None
    assert (short.windows.deadline_us, long.windows.deadline_us) == (200e3, 300e3)
    assert short.back_to_back.deadline_us is None
    assert long.latency_ms > short.latency_ms > 200
    assert short.parts_us is None and short.paced is not None
    assert short.held is not None and 0 <= short.held <= short.paced.n + 50  # the warm-up's, too


def test_a_network_that_fails_has_no_time(toy_bundle: Toys) -> None:
    player = Player(toy_bundle().bundle, Setting())
    player.timed[0]._step = lambda: player.timed[0].stems.fill(float("nan"))
    with pytest.raises(SoloistError, match=r"the network failed in \d+ hops"):
        measure([player], 0.1)


def test_a_sweep_is_all_combinations() -> None:
    found = list(sweep({"threads": [1, 2], "block": [64, 128], "device": ["cpu"]}))
    assert [(each.threads, each.block) for each in found] == [(1, 64), (1, 128), (2, 64), (2, 128)]
    assert str(found[0]) == "cpu, 64 block"


def test_int8_weights_can_be_played_in_float32_and_nothing_else_can(toy_bundle: Toys) -> None:
    assert Player(Bundle.open("solo"), Setting(precision="fp32")).setting.precision == "fp32"
    for precision in ("int8", "fp16"):  # of these a bundle has to be made first
        with pytest.raises(SoloistError, match=f"in fp32, which cannot be played in {precision}"):
            Player(toy_bundle().bundle, Setting(precision=precision))


@pytest.mark.parametrize(("precision", "least_db"), [("fp16", 50), ("int8", 30), ("fp32", 100)])
def test_a_bundle_in_another_precision_says_nearly_the_same(
    precision: str, least_db: float, tmp_path: Path
) -> None:
    """Against int8 weights unfolded to float32, which are what the others are made of."""
    bundle = Bundle.open("solo")
    made = derived(bundle, precision, tmp_path)
    assert made.spec.precision == (precision if precision == "fp16" else "int8")
    sessions = [
        Session(each, device="cpu", unfold=unfold)
        for each, unfold in ((bundle, True), (made, precision == "fp32"))
    ]
    rng = np.random.default_rng(0)
    stems = []
    for _ in range(20):
        spectrum = rng.standard_normal(sessions[0].spectrum.shape)
        for session in sessions:
            session.spectrum[:] = spectrum
            session.step()
        stems.append([session.stems.copy() for session in sessions])
    expected, found = np.array(stems).swapaxes(0, 1)
    error = np.sum((found - expected) ** 2) / np.sum(expected**2)
    assert error <= 10 ** (-least_db / 10)
    assert (error > 0) == (precision != "fp32")


def test_weights_can_be_made_int8(solo_fp32: Any, tmp_path: Path) -> None:
    made = derived(solo_fp32, "int8", tmp_path)
    assert made.spec.precision == "int8"
    saved = solo_fp32.path.stat().st_size - made.path.stat().st_size
    assert saved > 5e6  # of 1.8 million weights almost three bytes each


def test_precisions_that_cannot_be_had_say_so(tmp_path: Path, windowed_toy: Toys) -> None:
    with pytest.raises(SoloistError, match="found precision 'bf16', expected one of"):
        derived(Bundle.open("solo"), "bf16", tmp_path)
    toy = windowed_toy().bundle
    assert derived(toy, "fp32", tmp_path) is toy


def test_devices_that_are_not_there_say_so(toy_bundle: Toys) -> None:
    with pytest.raises(DeviceError, match="built without CoreMLExecutionProvider"):
        Player(toy_bundle().bundle, Setting(device="coreml"))
    with pytest.raises(DeviceError, match="unknown device 'abacus'"):
        Player(toy_bundle().bundle, Setting(device="abacus"))


def test_the_most_streams_that_fit(toy_bundle: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream is made to take 200 µs of 2667: thirteen fit, and fourteen do not."""
    monkeypatch.setattr(
        "soloist.benchmarks.streams._percentile", lambda player, q, tell: 200.0 * player.playing
    )
    found = how_many(toy_bundle().bundle, Setting(), "p99", lambda: None)
    assert found.streams == 13
    assert dict(found.tried) == {n: 200.0 * n for n in (1, 2, 4, 8, 16, 12, 14, 13)}
    limited = how_many(toy_bundle().bundle, Setting(), "p99", lambda: None, most=5)
    assert limited.streams == 5


def test_streams_are_played_until_the_percentile_is_known(toy_bundle: Toys) -> None:
    found = how_many(toy_bundle().bundle, Setting(block=4800), "p50", lambda: None, most=2)
    assert found.streams == 2  # of 100 ms, half of which a busy machine has, too
    assert all(0 < us < found.deadline_us for _, us in found.tried)
    assert found.deadline_us == pytest.approx(100e3)


def test_a_cold_start_is_that_of_a_fresh_process(toy_bundle: Toys) -> None:
    bundle = toy_bundle().bundle
    found = cold_start(bundle, Setting().of(bundle), lambda: None, processes=1)
    assert found.imported_ms > found.first_block_ms > 0
    assert found.loaded_ms > 0
    assert found.memory_mb is None or 20 < found.memory_mb < 1000


def test_a_cold_start_is_with_the_listener(
    toy_bundle: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "processor._sessions.listening is not None"
    child = cold_starts._CHILD.rsplit("print", 1)[0] + f"print(json.dumps([{told}]))"
    monkeypatch.setattr(cold_starts, "_CHILD", child)
    for listens in (True, False):
        bundle = toy_bundle(listens=listens).bundle
        assert cold_starts._run(bundle, Setting().of(bundle)) == [listens]


def test_a_cold_start_that_fails_says_why(toy_bundle: Toys) -> None:
    bundle = toy_bundle().bundle
    setting = Setting(device="abacus").of(bundle)
    with pytest.raises(SoloistError, match="unknown device 'abacus'"):
        cold_start(bundle, setting, lambda: None, processes=1)


def test_the_clock_gives_each_part_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000, 10))  # each look at the time is 10 ns after the one before
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(now))
    clock = Clock(2)
    inner = clock.timed(1, lambda: None)
    outer = clock.timed(0, lambda: [inner(), inner()])
    outer()
    # three stretches of the outer, before, between and after; two of the inner
    assert clock.take() == [30, 20]
    assert clock.take() == [0, 0]
