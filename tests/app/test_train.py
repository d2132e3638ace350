"""`soloist train`: what it says of what cannot be trained, and Ctrl-C."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soloist.app.cli import run

HEAD = 'manifest = "manifest.csv"\nworkers = 0\nbatch = 2\nwarm_up = 1\ncool_down = 1\n'
SIZES = "[network]\nmaps = 2\nlevels = 5\nframes = 32\n"


def write_data(folder: Path, top: str) -> Path:
    random = np.random.default_rng(0)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", "caption", "split"])
        for label in ("rain", "dog", "piano"):
            soundfile.write(folder / f"{label}.wav", random.uniform(-0.5, 0.5, 16_000), 16_000)
            writer.writerow([f"{label}.wav", label, f"a {label}", "train"])
    path = folder / "run.toml"
    path.write_text(HEAD + top + SIZES)
    return path


@pytest.mark.parametrize(
    ("recipe", "more", "said"),
    [
        (
            "nothing",
            [],
            "no recipe 'nothing'; there are clipsep, clipsep-nit, bertsep",
        ),
        ("pit", ["--device", "tpu"], "--device takes auto, cpu or cuda, found 'tpu'"),
        ("pit", ["--resume"], "holds no run to resume"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, more: list[str], said: str
) -> None:
    config = write_data(tmp_path, "steps = 2\n")
    code = run(["train", recipe, "--config", str(config), "-o", str(tmp_path / "run"), *more])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2
    assert said in lines[-1]
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "manifest is missing"), ('manifest = "absent.csv"\n', "absent.csv")],
)
def test_settings_that_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "run.toml").write_text(text)
    code = run(["train", "pit", "--config", str(tmp_path / "run.toml"), "-o", str(tmp_path / "r")])
    assert code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("quiet", "steps"), [(0.0, [1, 2, 3]), (3600.0, [1])])
def test_a_log_is_told_how_far_it_is(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    quiet: float,
    steps: list[int],
) -> None:
    monkeypatch.setattr("soloist.app.train._QUIET_S", quiet)
    config = write_data(tmp_path, "steps = 3\ncheck = 100\n")
    command = ["train", "pit", "--config", str(config), "-o", str(tmp_path / "run")]
    assert run([*command, "--device", "cpu"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if " of 3, loss " in line]
    assert [int(line.split()[1]) for line in told] == steps


def test_ctrl_c_saves_and_resume_goes_on(tmp_path: Path) -> None:
    config = write_data(tmp_path, "steps = 1000\ncheck = 1\n")
    command = [sys.executable, "-m", "soloist", "train", "pit", "--config", str(config)]
    command += ["-o", str(tmp_path / "run"), "--device", "cpu"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 1,"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "--resume goes on with it" in rest
    told = json.loads((tmp_path / "run" / "train-args.json").read_text())
    done = told["curve"][-1]["step"]
    config.write_text(config.read_text().replace("steps = 1000", f"steps = {done + 1}"))
    assert run([*command[3:], "--resume"]) == 0
    told = json.loads((tmp_path / "run" / "train-args.json").read_text())
    assert [leg["first_step"] for leg in told["legs"]] == [0, done]
    assert run(command[3:]) == 2  # it would overwrite a run
