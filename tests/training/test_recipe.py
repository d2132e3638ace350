"""The recipe from end to end on a few seconds of sound, and what it hears against plain sums."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from soloist.separators.checkpoints import load_solo
from soloist.separators.solo import Solo, SoloConfig
from soloist.training.mixture_list import COLUMNS
from soloist.training.mixtures import Batch
from soloist.training.solo import band_energies, options_parser, train

RATE = 48_000
SMALL = SoloConfig(width=16, memory=8, blocks=1, patch_width=4, maps=8, embedding=6)


class LetterEncoder:
    name = "letters"
    dimension = 6

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.random.default_rng(list(text.encode())).normal(size=6) for text in texts]
        table = np.stack(rows).astype(np.float32)
        unit: NDArray[np.float32] = table / np.linalg.norm(table, axis=1, keepdims=True)
        return unit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with four sounds to train on and a list of one mixture to score."""
    rng = np.random.default_rng(0)
    rows = []
    for label in ("hum", "hiss", "click", "tone"):
        samples = 0.3 * rng.standard_normal(RATE) * (rng.random(RATE) < 0.5)
        soundfile.write(tmp_path / f"{label}.wav", samples, RATE)
        rows.append({"path": f"{label}.wav", "class": label, "caption": f"a {label}"})
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "class", "caption", "split"])
        writer.writeheader()
        writer.writerows(row | {"split": "train"} for row in rows)
    listed = dict.fromkeys(COLUMNS, "0") | {
        "target_file": "hum.wav",
        "interferer_files": "hiss.wav",
        "duration_s": "0.5",
        "query": "a hum",
    }
    with (tmp_path / "mixtures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(listed)
    return tmp_path


def run(data: Path, output: str, *more: str) -> Path:
    arguments = ["--manifest", str(data / "manifest.csv"), "--output", str(data / output)]
    arguments += ["--mixtures", str(data / "mixtures.csv"), "--check", "2", "--batch", "2"]
    arguments += [
        "--seconds",
        "0.4",
        "--config",
        json.dumps(SMALL.to_dict()),
        "--encoder",
        "letters",
    ]
    train(options_parser().parse_args([*arguments, *more]))
    return data / output


@pytest.mark.filterwarnings("default")  # other people's, while optimisers are set up
def test_a_run_is_saved_taken_up_again_and_tells_its_story(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soloist.training.phrases.load_encoder", lambda name: LetterEncoder())
    first = run(data, "first", "--steps", "2")
    second = run(data, "second", "--steps", "4", "--cool-down", "2", "--resume", str(first))
    before, after = (load_solo(folder / "checkpoint.pt") for folder in (first, second))
    assert [point["step"] for point in after.curve] == [2, 4]
    assert after.curve[0] == before.curve[0]
    assert after.curve[1]["minutes"] >= after.curve[0]["minutes"]
    assert np.isfinite(after.curve[1]["si_sdri_mean"])
    assert [leg["first_step"] for leg in after.facts["legs"]] == [0, 2]
    assert after.facts["encoder"] == "letters"
    assert after.facts["vocabulary"]["hum"] == ["a hum", "hum", "the sound of hum"]
    old, new = (dict(c.network.named_parameters()) for c in (before, after))
    assert all(torch.isfinite(value).all() for value in new.values())
    assert any(not torch.equal(old[name], new[name]) for name in new)


def test_what_the_network_hears_and_is_scored_by() -> None:
    network = Solo(SMALL)
    rng = np.random.default_rng(1)
    sources = 0.2 * rng.standard_normal((2, 3, 4096)).astype(np.float32)
    present = np.array([[True, True, False], [True, True, True]])
    sources[0, 2] = 0
    gains = rng.uniform(0.5, 2, (2, 3, 513)).astype(np.float32)
    batch = Batch(sources, np.zeros((2, 4, 6), np.float32), present, gains)
    power, energies = band_energies(network, batch)

    spectra = network.config.frontend.analyse(torch.from_numpy(sources))
    spectra *= torch.from_numpy(gains)[:, :, None]
    mixture = spectra.sum(1)
    spread = torch.nn.functional.one_hot(network.band_of_bin, network.bands).float()
    torch.testing.assert_close(
        power, mixture.abs().square() @ network.band_mean, rtol=1e-3, atol=1e-5
    )
    wanted = (mixture[:, None].conj() * spectra).real @ spread
    torch.testing.assert_close(energies.cross[:, :3], wanted, rtol=1e-3, atol=1e-5)
    assert not energies.cross[:, 3].any()
    totals = spectra.abs().square().sum((-2, -1))
    torch.testing.assert_close(energies.source[:, :3], totals, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        energies.mixture[:, 0], mixture.abs().square() @ spread, rtol=1e-3, atol=1e-5
    )
