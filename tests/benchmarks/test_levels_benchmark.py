import json

import pytest

from soloist.benchmarks import levels


def test_it_prints_a_row_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert levels.main(["--blocks", "10"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    names = [row[:24].strip() for row in rows]
    assert names == [
        *("handed over", "measured on the spot", "two peaks on the spot"),
        "read by another thread",
    ]
    assert levels.main(["--blocks", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(0 < p50 <= p99 for p50, p99 in found["us"].values())
    assert list(found["us"]) == names
