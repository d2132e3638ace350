import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.benchmarks import first_words, negatives
from soloist.training.mixture_list import COLUMNS


def test_first_words_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert first_words.main(["--runs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["ms"]
    for clock in ("p50", "core_p50"):
        parts = [found[step][clock] for step in first_words.STEPS[:-1]]
        assert found["ready, from nothing"][clock] == pytest.approx(sum(parts))
        assert found["ready"][clock] == pytest.approx(sum(parts[3:]))
    assert first_words.main(["--runs", "1"]) == 0
    assert "ready, from nothing" in capsys.readouterr().out


def test_negatives_by_what_the_query_alone_gains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, rows = np.random.default_rng(0), []
    for label in ("rain", "dog"):
        (tmp_path / label).mkdir()
        soundfile.write(tmp_path / label / "clip.wav", 0.1 * rng.standard_normal(9600), 48_000)
    for target, other, query in [("rain", "dog", "rain"), ("dog", "rain", "Rain!")]:
        row = dict.fromkeys(COLUMNS, "0") | {"query": query, "duration_s": "0.2"}
        row |= {"target_file": f"{target}/clip.wav", "interferer_files": f"{other}/clip.wav"}
        rows.append(row)
    path = tmp_path / "mixtures.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    assert negatives.main([str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["range"] for row in found] == ["below 0", "0 to 6", "6 to 10", "10 and more", "all"]
    # The second mixture's query names the other sound, which cannot be a negative as well.
    assert sum(row["n"] for row in found[:-1]) == found[-1]["n"] == 1
    assert found[-1]["gain"] == pytest.approx(found[-1]["with_negative"] - found[-1]["alone"])
    assert negatives.main([str(path)]) == 0
    assert "10 and more" in capsys.readouterr().out


def test_one_clear_line_for_a_list_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert negatives.main(["no/such/list.csv"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("soloist: cannot read the list") and captured.out == ""
