import numpy as np
import pytest

from soloist.benchmarks import soak as module
from soloist.benchmarks.environment import environment
from soloist.benchmarks.soak import soak, table
from soloist.runtime.bundle import Bundle


def test_a_short_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten tenths of a second: every figure is there, and an old engine sounds as a fresh one."""
    monkeypatch.setattr(module, "LAST_SECONDS", 1)
    monkeypatch.setattr(module, "CHANGE_HOPS", 200)
    report = soak(Bundle.open("solo"), 10)
    assert report["hops"] == 10 * 375
    assert report["finite"] and report["faults"] == 0
    assert report["to_a_fresh_engine_db"] < -15
    assert report["after_reset_the_same"]
    assert len(report["tenths"]) == 10
    for each in report["tenths"]:
        assert 0 < each["p50_us"] <= each["p99_us"] <= each["p999_us"] <= each["max_us"]
    assert "3750 hops" in table({**report, "environment": environment()})


def test_the_slope_is_the_growth_but_for_the_first_tenth() -> None:
    """200 KB a tenth of 100,000 hops; what start-up took does not count."""
    grown = [20.0] + [50.0 + 0.2 * n for n in range(1, 10)]
    assert module.slope(grown, 100_000) == pytest.approx(2000.0)


def test_what_is_heard_is_compared_by_its_energy() -> None:
    found = np.ones((10, 1), np.float32)
    assert module._error_db(found, 10 / 11 * found) == pytest.approx(-20.0, abs=0.01)
