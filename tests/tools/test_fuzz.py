"""Some hundred damaged files, each of which works or is refused in a line; thousands: `slow`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="makes the bundles")
pytest.importorskip("torch", reason="makes the checkpoints")


def fuzz(folder: Path, *options: str) -> str:
    keep = folder / "failures"
    found = subprocess.run(
        [sys.executable, "-m", "soloist.tools.fuzz", "--keep", str(keep), *options],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert not keep.exists()
    return found.stdout


def test_some_hundred_files(tmp_path: Path) -> None:
    said = fuzz(tmp_path, "--cases", "500", "--seed", "7")
    for kind in ("bundles", "operators", "audio", "checkpoints", "presets"):
        (line,) = [line for line in said.splitlines() if line.startswith(f"{kind}: ")]
        # Damage that is always refused at once would test nothing.
        assert " works" in line and " refused" in line


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif("SOLOIST_FUZZ" not in os.environ, reason="SOLOIST_FUZZ=1 asks for 10,000 files")
def test_ten_thousand_files(tmp_path: Path) -> None:
    fuzz(tmp_path, "--cases", "10000", "--seed", os.environ["SOLOIST_FUZZ"])


DYING = """
import json, os
print(json.dumps({"ready": True}))
print(json.dumps({"case": 5}))
print(json.dumps({"case": 5, "end": "works", "line": ""}))
print(json.dumps({"case": 6}), flush=True)
os.abort()
"""


def test_a_worker_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch itself, over a worker that ends in the second of two cases."""
    from soloist.tools.fuzz import __main__ as program

    worker = tmp_path / "worker.py"
    worker.write_text(DYING)
    popen = subprocess.Popen
    command = [sys.executable, str(worker)]
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: popen(command, **options))
    results = program.run("audio", 0, range(5, 7), tmp_path / "keep")
    assert results.ends["works"] == 1
    assert [fault.split(" with ")[0] for fault in results.faults] == ["audio 0 6: died"]
