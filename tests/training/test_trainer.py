"""The loop behind the recipes, on a line through points, whose steps can be taken by hand."""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soloist.training.listening import spectrogram
from soloist.training.trainer import Diverged, Trainer, Watch, rate

PROGRAM = Path(__file__).with_name("line_recipe.py")
SPEC = importlib.util.spec_from_file_location("line_recipe", PROGRAM)
assert SPEC is not None
assert SPEC.loader is not None
line = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(line)

pytestmark = pytest.mark.filterwarnings("default")  # other people's, of CPUs that are idle


def trained(folder: Path) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(folder / "resume.pt", weights_only=True)
    return saved


def fit(folder: Path, *, drop: float = 0.0, resume: bool = False, watch: Any = None) -> bool:
    folder.mkdir(exist_ok=True)
    trainer = Trainer(line.Line(line.settings(folder), drop), folder, "cpu")
    if resume:
        trainer.resume()
    return trainer.fit(watch)


def test_steps_are_those_of_adam_on_the_batches_that_numbers_name(tmp_path: Path) -> None:
    run = line.settings(tmp_path)
    fit(tmp_path)
    weights = torch.zeros(2, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=run.rate)
    mean = torch.zeros(2)
    for step in range(run.steps):
        points = [line.Points()[8 * step + item] for item in range(8)]
        x, y = (torch.from_numpy(np.stack([point[key] for point in points])) for key in "xy")
        loss = (x * weights[0] + weights[1] - y).square().mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([weights], run.clip)
        adam.param_groups[0]["lr"] = run.rate * min(1, (step + 1) / 2, (12 - step) / 4)
        adam.step()
        decay = min(run.average, 1 - 1 / (step + 2))
        mean = decay * mean + (1 - decay) * weights.detach()
    saved = trained(tmp_path)
    for name, key in (("recipe", "network."), ("average", "")):
        found = [saved[name][f"{key}{part}"].item() for part in ("weight", "bias")]
        wanted = weights.tolist() if name == "recipe" else mean.tolist()
        assert found == pytest.approx(wanted, abs=1e-6)
    assert [point["step"] for point in saved["curve"]] == [4, 8, 12]


class Impatient(Watch):
    """Ends the run after a step; keeps what it was told."""

    def __init__(self, last: int) -> None:
        self.last, self.steps = last, 0
        self.figures: list[Mapping[str, float]] = []

    def stepped(self, step: int, loss: float) -> None:
        self.ended = step == self.last
        self.steps += 1

    def checked(self, figures: Mapping[str, float]) -> None:
        self.figures.append(figures)


@pytest.mark.parametrize("stopped", [3, 8])
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path, stopped: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert fit(whole, drop=0.5)
    watch = Impatient(stopped)
    assert not fit(parts, drop=0.5, watch=watch)
    assert watch.steps == stopped
    assert watch.figures[-1]["step"] == stopped
    assert fit(parts, drop=0.5, resume=True)
    one, other = trained(whole), trained(parts)
    for name in ("recipe", "average"):
        for key, value in one[name].items():
            assert torch.equal(value, other[name][key])
    assert [leg["first_step"] for leg in other["legs"]] == [0, stopped]


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    commands = {
        "one": [sys.executable],
        "two": [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
        ],
    }
    for name, command in commands.items():
        (tmp_path / name).mkdir()
        ran = subprocess.run(
            [*command, str(PROGRAM), str(tmp_path / name)], capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
    one, two = (trained(tmp_path / name) for name in commands)
    assert [leg["processes"] for leg in two["legs"]] == [2]
    for name in ("recipe", "average"):
        for key, value in one[name].items():
            torch.testing.assert_close(value, two[name][key], rtol=1e-5, atol=1e-6)
    assert [point["loss"] for point in two["curve"]] == [point["loss"] for point in one["curve"]]


def test_a_loss_that_is_no_number_ends_the_run_and_spares_the_last_check(tmp_path: Path) -> None:
    class Broken(line.Line):  # type: ignore[misc, name-defined]
        def forward(self, batch: Any) -> Any:
            loss = super().forward(batch)
            return loss * float("nan") if trainer.step_count > 5 else loss

    trainer = Trainer(Broken(line.settings(tmp_path)), tmp_path, "cpu")
    with pytest.raises(Diverged, match="step 8 is nan; lower the rate"):
        trainer.fit()
    saved = trained(tmp_path)
    assert saved["step"] == 4
    assert all(torch.isfinite(value).all() for value in saved["recipe"].values())


def test_runs_that_cannot_be_resumed(tmp_path: Path) -> None:
    trainer = Trainer(line.Line(line.settings(tmp_path)), tmp_path, "cpu")
    with pytest.raises(ValueError, match="holds no run"):
        trainer.resume()
    torch.save({"recipe": {"other": torch.zeros(3)}}, tmp_path / "resume.pt")
    with pytest.raises(ValueError, match="of another recipe or of other sizes"):
        trainer.resume()


def test_samples_are_logged_to_hear_and_to_see(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(tmp_path)
    log = EventAccumulator(str(tmp_path / "log"))
    log.Reload()
    assert {"loss", "slope"} <= set(log.Tags()["scalars"])
    assert [event.step for event in log.Scalars("slope")] == [4, 8, 12]
    assert "a tone/spectrograms" in log.Tags()["images"]
    assert {f"a tone/{part}" for part in ("mixture", "wanted", "estimate")} <= set(
        log.Tags()["audio"]
    )


def test_a_log_that_cannot_be_written_does_not_cost_the_steps(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no folder")
    with pytest.raises(ValueError, match="log"):
        fit(tmp_path)
    assert trained(tmp_path)["step"] == 4


def test_rates_rise_stay_and_fall() -> None:
    rates = [rate(step, 10, 2, 4) for step in range(10)]
    assert rates == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("samples", [1, 1024, 5000])
def test_the_spectrogram_of_a_tone_is_brightest_at_the_tone(samples: int) -> None:
    tone = np.sin(2 * np.pi * 100 / 1024 * np.arange(samples)).astype(np.float32)
    picture = spectrogram(tone)
    assert picture.shape == (513, 1 + -(-max(0, samples - 1024) // 256))
    assert 0 <= picture.min() <= picture.max() <= 1
    if samples == 5000:
        assert (picture[:, :-1].argmax(0) == 512 - 100).all()
