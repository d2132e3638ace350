"""`soloist bench`: figures as a table and as JSON, sweeps, and results shown again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soloist.app import demo
from soloist.app.bench import quality
from soloist.app.demo import load_scene
from soloist.benchmarks import cold_start
from soloist.benchmarks.results import read_run
from soloist.benchmarks.settings import Setting
from soloist.runtime.bundle import Bundle
from soloist.runtime.queries import conditioning_for
from soloist.streaming.offline import separate_array
from soloist.streaming.processor import Processor
from soloist.training.metrics import si_sdr

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cold starts take seconds; tests/benchmarks/test_measuring.py has real ones."""
    monkeypatch.setattr(cold_start, "_run", lambda bundle, setting: [400.0, 90.0, 3.0, 91.0])


def test_a_run_is_kept_and_shown_again(soloist: Run, toy: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    run = soloist("bench", toy, "--seconds", "0.2", "--queries", "3,1", "--json", file)
    assert run.code == 0
    kept = read_run(file)
    assert [each.setting["queries"] for each in kept.measurements] == [1, 3]
    assert {"cpu", "kernel", "governor", "providers", "load_after"} <= kept.environment.keys()
    start = kept.measurements[0].cold_start
    assert start is not None and start.loaded_ms == 90.0
    assert "toy, 1 query" in run.out and "toy, 3 queries" in run.out
    assert "empty hops" in run.out and "where the time goes" in run.out
    assert "measuring 2 settings, which takes about" in run.err
    written = tmp_path / "page.html"
    again = soloist("bench", "--compare", file, "--html", written)
    assert again.code == 0
    assert again.out == run.out
    assert "How long blocks take" in written.read_text("utf-8")


def test_json_on_stdout_is_all_there_is(soloist: Run, toy: str) -> None:
    run = soloist("bench", toy, "--seconds", "0.2", "--json", "-", "--label", "here")
    assert run.code == 0
    report = json.loads(run.out)
    assert report["label"] == "here"
    (measured,) = report["measurements"]
    assert measured["paced"]["deadline_us"] == pytest.approx(128 / 48e-3)
    assert measured["si_sdri_db"] is None  # a toy knows no woman speaking
    assert measured["paced"]["percentiles_us"]["p99.9"] is None  # of 75 hops


def test_what_is_absent_is_named(soloist: Run, toy: str) -> None:
    run = soloist("bench", toy, "--seconds", "0.1", "--device", "cpu,coreml", "--precision", "fp32")
    assert run.code == 0
    assert "Not measured: device coreml: this onnxruntime was built without" in run.out


def test_models_of_both_kinds(soloist: Run, toy: str, windowed_toy: Callable[..., Any]) -> None:
    windowed = str(windowed_toy(samples=8000, emitted=400, advance=200).path)
    run = soloist("bench", toy, windowed, "--seconds", "0.1", "--fit", "p50")
    assert run.code == 0
    assert "windowed-toy" in run.out and "windows" in run.out
    assert "One core plays" in run.out


def test_the_quality_of_a_setting_is_the_mean_of_the_mixtures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each by a processor of its own, as users play; the same samples share one figure."""
    bundle = Bundle.open("solo")
    scenes = [short(name) for name in ("dog", "guitar", "demo", "piano")]
    monkeypatch.setattr(demo, "load_scene", short)
    found = quality.Quality()
    int8 = found.gain(bundle, Setting(threads=2, block=64, queries=3))
    gains = []
    for scene in scenes:
        words = conditioning_for(bundle, [scene.query])
        processor = Processor(bundle, device="cpu", conditioning=words)
        heard = separate_array(processor, scene.mixture[:, None], scene.sample_rate)[:, 0]
        gains.append(si_sdr(heard, scene.target) - si_sdr(scene.mixture, scene.target))
    assert int8 == pytest.approx(np.mean(gains), abs=1e-9)
    assert len(found._known) == 1
    assert found.gain(bundle, Setting()) is int8
    fp32 = found.gain(bundle, Setting(precision="fp32"))
    assert fp32 is not None and int8 is not None and int8 != fp32
    assert fp32 == pytest.approx(int8, abs=0.3)


def short(name: str) -> demo.Scene:
    """The first second of a bundled mixture."""
    scene = load_scene(name)
    return replace(scene, mixture=scene.mixture[:48_000], target=scene.target[:48_000])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no such.onnx"], "no model 'no such.onnx'"),
        (["--queries", "1,,2"], "found '1,,2', expected numbers such as 1,2,4"),
        (["--device", "cpu,,"], "found 'cpu,,', expected names such as cpu,cuda"),
        (["--fit", "p98"], "'p98' is none of p50, p95, p99, p99.9, p99.99"),
        (["--device", "abacus", "--seconds", "0.1"], "unknown device 'abacus'"),
        (["--json", "no/such/folder/run.json"], "no folder 'no/such/folder'"),
        (["--compare"], "--compare takes files"),
        (["--threads", "1,65"], "found 65, at most 64"),
        (["--block-size", "99999999999"], "expected numbers such as 1,2,4"),
        (["--block-size", "70000"], "found 70000, at most 65536"),
        (["--seconds", "inf"], "86400"),
        (["-i", "mic", "--jack"], "--input-device, --jack: only with --loopback"),
        (["--loopback", "--streams", "2", "--html", "x"], "--html, --streams: not with --loopback"),
        (["--loopback", "--block-size", "64,128"], "one model and one --block-size"),
        (["--compare", "a.json", "--loopback", "--block-size", "64"], "--block-size, --loopback"),
        (["--compare", "none.json"], "'none.json' cannot be read as a result (No such file"),
    ],
)
def test_refusals_are_one_line(soloist: Run, arguments: list[str], said: str) -> None:
    assert said in soloist("bench", *arguments).refusal
