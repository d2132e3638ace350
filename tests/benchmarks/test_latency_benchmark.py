import json
from typing import Any

import numpy as np
import pytest

from soloist.benchmarks.hops import STAGES
from soloist.benchmarks.latency import Figures, further_queries, main
from soloist.benchmarks.stages import PARTS, Clock


def figures(queries: int, window: float, network: float, mix: float) -> Figures:
    return Figures(queries, False, 1000.0, np.tile([[window, network, mix]], (100, 1)))


def test_shares_and_ratios_are_what_they_say() -> None:
    one, three = figures(1, 10.0, 80.0, 10.0), figures(3, 10.0, 90.0, 10.0)
    found = one.json()
    assert found["us"] == {key: 100.0 for key in ("p50", "p95", "p99", "p99.9", "max")}
    assert found["median_us"] == {"window_fft": 10.0, "network": 80.0, "mix_overlap_add": 10.0}
    assert (found["engine_us"], found["engine_share"]) == (20.0, 0.2)
    assert (found["rtf"], found["late"]) == (0.1, 0)
    assert further_queries([one, three]) == {3: pytest.approx(0.05)}


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


def test_prints_json_and_a_table(toy_bundle: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        str(toy_bundle().path),
        "--queries",
        "2,1",
        "--channels",
        "2",
        "--hops",
        "300",
        "--paced-hops",
        "10",
    ]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["hop"], found["provider"], found["channels"]) == (128, "cpu", 2)
    played = [(row["queries"], row["paced"], row["hops"]) for row in found["figures"]]
    assert played == [(1, False, 500), (2, False, 500), (1, True, 10), (2, True, 10)]
    for row in found["figures"]:
        assert set(row["median_us"]) == set(STAGES)
        assert 0 < row["engine_share"] < 1
    assert {"cpu", "numpy", "onnxruntime"} <= found["environment"].keys()
    for way in ("back_to_back", "paced"):
        assert set(found["parts_median_us"][way]) == set(PARTS)
        assert all(us > 0 for us in found["parts_median_us"][way].values())
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "each further query, paced" in printed
    assert "all but the network" in printed


def test_models_are_compared_in_one_run(
    toy_bundle: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(toy_bundle(queries=queries).path) for queries in (1, 2)]
    assert main([*paths, "--queries", "1", "--hops", "9", "--paced-hops", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["model"]["path"] for each in found] == paths
    assert [len(each["figures"]) for each in found] == [2, 2]


def test_one_clear_line_for_a_model_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no/such/model.onnx"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("soloist: no model")
    assert captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.parametrize("queries", ["0", "1,x", ""])
def test_refuses_numbers_of_queries_that_are_none(queries: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--queries", queries])
    assert left.value.code == 2
