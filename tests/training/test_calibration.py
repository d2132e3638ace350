"""Calibration: what the two numbers do to masks, what masks are worth, and which are chosen."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from soloist.separators.checkpoints import load_solo
from soloist.separators.solo import Solo, SoloConfig
from soloist.training.calibration import (
    Heard,
    calibrate,
    choose,
    figure,
    hear,
    held_out,
    main,
)
from soloist.training.gates import even_out
from soloist.training.mixture_list import COLUMNS, read_mixtures
from soloist.training.phrases import embed

RATE = 48_000
SMALL = SoloConfig(width=16, memory=8, blocks=1, patch_width=4, maps=8, embedding=6)


class SixEncoder:
    name = "six"
    dimension = 6

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.stack([np.eye(6, dtype=np.float32)[len(text) % 6] for text in texts])


@pytest.fixture
def mixtures(tmp_path: Path) -> Path:
    """Two mixtures of noises, one of them asked for a sound that is not there."""
    rng = np.random.default_rng(0)
    for name in ("hum", "hiss"):
        soundfile.write(tmp_path / f"{name}.wav", 0.2 * rng.standard_normal(RATE // 2), RATE)
    row = dict.fromkeys(COLUMNS, "0") | {"interferer_files": "hiss.wav", "duration_s": "0.4"}
    rows = [row | {"target_file": "hum.wav", "target_class": "hum", "query": "a hum"}]
    rows += [rows[0] | {"target_class": "buzz"}, row | {"target_file": "", "query": "a bell"}]
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "mixtures.csv"


def test_every_logit_is_scaled_and_shifted() -> None:
    torch.manual_seed(0)
    network = Solo(SMALL)
    power = 1e6 * torch.rand(1, 5, network.bands)
    words = torch.randn(2, 6)
    with torch.no_grad():
        maps, _ = network.trunk(power, network.initial_state(1))
        before = network.logits(maps, network.condition(words))
        calibrate(network, 0.7, 0.3)
        after = network.logits(maps, network.condition(words))
    torch.testing.assert_close(after, 0.7 * before + 0.3)


def test_figures_in_closed_form() -> None:
    # two bands that do not overlap: the target has energy 4, the rest 1
    heard = Heard(torch.zeros(1, 2), torch.tensor([[4.0, 1.0]]), torch.tensor([[4.0, 0.0]]), 4.0)
    assert figure(torch.ones(1, 2), heard) == pytest.approx(0.0, abs=1e-6)
    # a tenth of the rest's amplitude is left: 20 dB more
    assert figure(torch.tensor([[1.0, 0.1]]), heard) == pytest.approx(20.0, abs=1e-4)
    # the wrong sound kept, a tenth of the target beside it: 4 * 0.01 against 1, before 4 against 1
    assert figure(torch.tensor([[0.1, 1.0]]), heard) == pytest.approx(-20.0, abs=1e-4)
    absent = replace(heard, cross=torch.zeros(1, 2), source=0.0)
    assert figure(torch.full((1, 2), 0.1), absent) == pytest.approx(20.0, abs=1e-4)


def test_the_best_setting_that_is_silent_enough() -> None:
    present = np.array([True, True, False])
    figures = np.array([[4.0, 4.0, 18.0], [5.0, 5.0, 16.0], [6.0, 6.0, 14.0]])
    assert [choose(figures, present, least) for least in (17.0, 15.5, 10.0)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no setting attenuates absent sounds by 19 dB"):
        choose(figures, present, 19.0)


def test_what_is_held_out_does_not_choose() -> None:
    """Each class gains by a setting of its own, and loses by the other's."""
    present = np.array([True, True, False])
    figures = np.array([[0.0, 0.0, 20.0], [3.0, -1.0, 20.0], [-1.0, 3.0, 20.0]])
    assert held_out(figures, present, np.array(["a", "b", "c"]), 15.0) == pytest.approx(-1.0)


@torch.no_grad()
def test_a_mixture_is_heard_as_the_stream_would(mixtures: Path) -> None:
    torch.manual_seed(0)
    network, listed = Solo(SMALL), read_mixtures(mixtures)
    words = np.ones(6, np.float32)
    heard = hear(network, listed[0], mixtures.parent, words)
    target, rate = soundfile.read(mixtures.parent / "hum.wav", dtype="float32")
    assert rate == RATE
    spectrum = network.config.frontend.analyse(torch.from_numpy(target[: round(0.4 * RATE)]))
    assert heard.source > 0
    assert heard.logits.shape == heard.mixture.shape == (150, network.bands)
    # by itself, a target's energy is what it shares with the mixture, up to their common gain
    shape = spectrum.abs().square().sum() / heard.source
    assert 1.0 <= float(shape) < 10
    assert hear(network, listed[2], mixtures.parent, words).source == 0.0


def test_the_command_writes_a_checkpoint_that_says_so(
    mixtures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("soloist.training.phrases.load_encoder", lambda name: SixEncoder())
    torch.manual_seed(0)
    facts: dict[str, Any] = {"encoder": "six", "vocabulary": {"hum": ["a hum"]}}
    network = Solo(SMALL)
    before, after = (mixtures.parent / name for name in ("before.pt", "after.pt"))
    saved = {"config": SMALL.to_dict(), "weights": network.state_dict(), "facts": facts}
    torch.save(saved | {"curve": []}, before)
    options = [str(before), str(after), "--mixtures", str(mixtures), "--least-attenuation", "0"]
    assert main(options) == 0
    found = load_solo(after)
    scale, shift = (found.facts["calibration"][name] for name in ("scale", "shift"))
    even_out(network, embed(["a hum"], "six"), facts["vocabulary"], {})
    calibrate(network, scale, shift)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found.network.state_dict()[name], value)
    told = capsys.readouterr().out
    assert main([*options[:-1], "999"]) == 2
    assert "no setting attenuates absent sounds by 999 dB, the best by" in capsys.readouterr().err
    assert main(["none.pt", *options[1:]]) == 2
    assert "none.pt" in capsys.readouterr().err
    assert "uncalibrated: (1.0, 0.0)" in told
    assert f"chosen: ({scale}, {shift})" in told
