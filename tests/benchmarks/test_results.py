"""Runs survive the way to a file and back, and what is no run is refused in one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from soloist.benchmarks.results import ColdStart, Measurement, Run, read_run
from soloist.benchmarks.statistics import Statistics
from soloist.runtime.errors import SoloistError

HOPS = Statistics.of(np.arange(1.0, 400.0), 2667.0, np.arange(399.0))


def run() -> Run:
    solo = Measurement(
        name="solo",
        setting={"device": "cpu", "threads": 1},
        provider="cpu",
        sample_rate=48_000,
        block=128,
        latency={"block": 128, "overlap-add": 128},
        back_to_back=HOPS,
        paced=HOPS,
        parts_us={"paced": {"network": 80.0}},
        cold_start=ColdStart(
            processes=3, imported_ms=200.0, loaded_ms=90.0, first_block_ms=1.5, memory_mb=None
        ),
    )
    return Run(
        label="a server",
        taken="2026-01-01T00:00:00Z",
        environment={"cores": 2},
        measurements=(solo,),
        wakeups=HOPS,
        absent={"cuda": "no GPU"},
    )


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(asdict(run())))
    assert read_run(path) == run()
    assert read_run(path).measurements[0].latency_ms == pytest.approx(256 / 48)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "its text is not JSON"),
        ("[]", "found [], expected an object"),
        (json.dumps({}), "key 'label' is missing"),
        (json.dumps(asdict(run()) | {"format": 2}), "format is 2, expected 1; update Soloist"),
        (json.dumps(asdict(run()) | {"measurements": []}), "there is no measurement in it"),
        (json.dumps(asdict(run()) | {"measurements": [{}]}), "measurements[0]: key 'name'"),
    ],
)
def test_refuses_what_is_no_run(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(SoloistError, match=r"run\.json") as refused:
        read_run(path)
    assert said in str(refused.value)
    assert "export" not in str(refused.value)


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SoloistError, match="No such file or directory"):
        read_run(tmp_path / "none.json")
