"""`soloist tune` without a sound device, where blocks come to the engine at their pace."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soloist.app.bench import tune_run
from soloist.benchmarks import tuning
from soloist.benchmarks.misses import Count
from soloist.benchmarks.tuning import (
    Candidate,
    Tried,
    first_that_holds,
    on_no_device,
    seconds_for,
)
from soloist.runtime.bundle import Bundle
from soloist.streaming.latency import Latency
from soloist.streaming.live.plan import LivePlan

Run = Callable[..., Any]


@pytest.fixture
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_run, "has_devices", lambda: False)


def candidate(block: int, misses: float) -> Candidate:
    """So many of its blocks are missed, and none of those that are copied."""
    return Candidate(
        LivePlan("solo"),
        Latency(48_000, (("all", block),)),
        block,
        lambda seconds: Count(1000, round(1000 * misses)),
        lambda seconds: Count(1000, 0),
    )


def test_the_first_that_does_not_miss_is_taken() -> None:
    heard: list[tuple[int, float]] = []

    def began(which: Candidate, seconds: float) -> Callable[[float], object]:
        heard.append((which.block, seconds))
        return lambda _: None

    candidates = [candidate(32, 0.3), candidate(64, 0.002), candidate(128, 0.0)]
    told: list[Tried] = []
    tried = first_that_holds(candidates, 0.01, 1.0, began, told.append)
    assert told == tried
    assert [each.trial.verdict for each in tried] == ["misses", "holds"]
    assert [block for block, _ in heard] == [32, 64]
    assert tried[-1].json()["misses"] == 2


def test_a_rare_miss_takes_longer_to_tell_than_was_asked_for() -> None:
    assert seconds_for(candidate(128, 0.0), 1e-4, 60.0) == pytest.approx(29_956 * 128 / 48_000)
    assert seconds_for(candidate(32, 0.0), 1e-4, 60.0) == 60.0


def test_without_a_device_blocks_are_what_there_is_to_choose(toy: str) -> None:
    found = on_no_device(LivePlan(toy, device="cpu"), (1,))
    hop = Bundle.open(toy).spec.frames.hop
    assert sorted((each.block, each.plan.schedule) for each in found) == [
        (block, schedule) for block in sorted(tuning.BLOCKS) for schedule in ("inline", "trailing")
    ]
    # Of the same delay, masks of the hop itself before those of the block before.
    cost = [(each.latency.total, each.plan.schedule) for each in found]
    assert cost == sorted(cost)
    for each in found:  # a block collected, two hops less what both have in common
        expected = each.block + 2 * hop - min(hop, each.block)
        assert each.latency.total == expected


def test_of_a_windowed_model_how_often_windows_come_is_to_choose_too(
    windowed_toy: Callable[..., Any],
) -> None:
    plan = LivePlan(str(windowed_toy().path), device="cpu", block_size=128)
    found = on_no_device(plan, (1,))
    assert {each.plan.budget for each in found} == {"measured", "advance"}
    assert len({each.plan.advance for each in found}) > 1
    totals = [each.latency.total for each in found]
    assert totals == sorted(totals)


def test_it_writes_a_preset_of_what_it_found(
    soloist: Run, toy: str, no_device: None, tmp_path: Path
) -> None:
    file = tmp_path / "quick.toml"
    options = ["-m", toy, "-q", "dog", "--remove", "-b", "256", "--misses", "0.99", "--json"]
    run = soloist("tune", file, *options, "--seconds", "0.3", "--device", "cpu")
    assert run.code == 0, run.err
    assert "no audio device found: tuning the engine alone" in run.err
    report = json.loads(run.out)
    assert report["preset"] == str(file) and not report["devices"]
    assert report["tried"][-1]["verdict"] == "holds"
    preset = tomllib.loads(file.read_text("utf-8"))
    assert (preset["block_size"], preset["mode"], preset["queries"]) == (256, "remove", ["dog"])
    assert (preset["model"], preset["threads"]) == (toy, report["tried"][-1]["blocks"] and 1)


def test_where_nothing_holds_no_preset_is_written(
    soloist: Run, toy: str, no_device: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_run, "on_no_device", lambda *_: [candidate(64, 0.5)])
    file = tmp_path / "quick.toml"
    run = soloist("tune", file, "-m", toy, "--seconds", "0.1")
    assert run.code == 2
    assert "no setting holds: 64 frames, 1 thread missed 500 of 1000 blocks" in run.err
    assert not list(tmp_path.glob("*.toml"))


def test_ctrl_c_leaves_no_preset(
    soloist: Run, toy: str, no_device: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune_run, "first_that_holds", interrupted)
    file = tmp_path / "quick.toml"
    assert soloist("tune", file, "-m", toy).code == 130
    assert not list(tmp_path.iterdir()) or not file.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--misses", "2"], "found '2', expected a probability such as 1e-4"),
        (["--misses", "few"], "expected a probability"),
        (["--latency", "fast"], "--latency takes low, high or seconds"),
    ],
)
def test_refusals_are_one_line(soloist: Run, options: list[str], said: str) -> None:
    run = soloist("tune", *options)
    assert said in run.refusal
