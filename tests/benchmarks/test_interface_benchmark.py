import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from soloist.benchmarks import interface
from soloist.streaming.live.meters import MeterBoard


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that reads 100 blocks more each time, a tenth of them late in the same process."""
    monkeypatch.setattr(interface, "SETTLE_S", 0.0)

    @contextmanager
    def playing(_: object, where: str) -> Iterator[Any]:
        blocks = 0

        def read() -> Any:
            nonlocal blocks
            blocks += 100
            late = blocks // 10 if where == "same process" else 0
            meters = replace(MeterBoard(48_000).read(), process_p50_ms=0.5, process_p99_ms=0.9)
            return replace(meters, callbacks=blocks, overloads=late, xruns=late // 10)

        yield read

    monkeypatch.setattr(interface, "_playing", playing)


def test_counts_what_happened_between_two_readings(
    sound: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interface.main(["--seconds", "0", "--rounds", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["plays in"], row["interface"]) for row in rows] == [
        ("same process", "at rest"),
        ("its own", "at rest"),
        ("same process", "busy"),
        ("its own", "busy"),
    ]
    for row in rows:
        late = 10.0 if row["plays in"] == "same process" else 0.0
        assert (row["blocks"], row["late, %"]) == (200, late)
        assert row["xruns"] == late / 5
        assert (row["p50, ms"], row["p99, ms"]) == (0.5, 0.9)


def test_prints_a_row_for_each_way(sound: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert interface.main(["--seconds", "0", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4
    assert " ".join(lines[2].split()) == "same process at rest 100 10.00 % 1 0.50 ms 0.90 ms"
