import numpy as np
import pytest

from soloist.benchmarks import night as module
from soloist.benchmarks.night import Listener, night, row, summary, with_model, without_network


def test_a_short_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a turn of 0.1 s, every second of them bypassed: the delay is the promised one."""
    monkeypatch.setattr(module, "TURN_S", 0.1)
    monkeypatch.setattr(module, "LISTEN_TURNS", 2)
    monkeypatch.setattr(module, "_TICK_S", 0.01)
    told: list[module.Tenth] = []
    figures = night(*without_network("solo"), 6 / 3600, 192, told.append)
    assert figures["blocks"] >= 10 * 150
    assert figures["delay_promised"] == 2 * 128 - 64
    assert figures["delays_found"] == [2 * 128 - 64]
    assert figures["comparisons"] + figures["silent"] >= 25
    assert figures["finite"] and figures["faults"] == 0
    assert len(told) == 10 and all(each.resident_mb > 10 for each in told)
    assert "192 samples promised, [192] found" in summary(figures)
    assert row(told[0]).split()[0] == f"{told[0].p50_us:.1f}"


def test_the_model_plays() -> None:
    figures = night(*with_model("solo"), 0.5 / 3600, 512)
    assert figures["model"] == "solo" and figures["counters"]["hops"] >= 160


@pytest.mark.parametrize(
    ("delay", "gain", "found"),
    [(0, 1.0, [0]), (77, 1.0, [77]), (1024, 1.0, [1024]), (77, 0.99, [-1]), (0, 0.0, [])],
)
def test_what_comes_at_another_time_or_otherwise_is_told(
    delay: int, gain: float, found: list[int]
) -> None:
    noise = np.random.default_rng(3).normal(size=(8, 512, 1)).astype(np.float32)
    listener = Listener(noise, np.ones((1, 1), np.float32), len(noise))
    listener.processor = without_network("solo")[0]
    listener.processor.bypass = True
    given = np.zeros_like(noise)
    for block in given:
        listener.play(block)
        late = np.concatenate([np.zeros(delay, np.float32), given.ravel()])
        listener.hear(np.float32(gain) * late[listener.played * 512 :][:512, None])
    assert listener.delays == found
    assert listener.silent == (gain == 0.0)
