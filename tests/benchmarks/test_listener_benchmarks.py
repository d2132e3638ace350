"""What a listener costs and gains is measured on any bundle that has one."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from soloist.benchmarks import listener, opposing
from soloist.export.listener import OPPOSITION
from soloist.separators.checkpoints import Checkpoint
from soloist.separators.listener import Listener
from soloist.separators.solo import Solo, SoloConfig
from soloist.streaming.listening import Opposer
from soloist.training.calibration import Heard, figure
from soloist.training.mixture_list import Excerpt, Mixture, render

Toys = Callable[..., Any]


def test_it_measures_both_ways(toy_bundle: Toys, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(toy_bundle(listens=True).path)
    assert listener.main(["--model", model, "--seconds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["hops"]) == {"without", "with"}
    for row in found["hops"].values():
        assert row["n"] == 375 - 20
        assert 0 < row["p50_us"] <= row["p99_us"] <= row["max_us"]
    assert found["core"] == pytest.approx(found["window"]["p50_ms"] / 50)
    assert listener.main(["--model", model, "--seconds", "1"]) == 0
    assert "of a core" in capsys.readouterr().out


def test_a_model_without_one_is_one_line(
    toy_bundle: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listener.main(["--seconds", "0"]) == 2
    assert "1 or more, found 0" in capsys.readouterr().err
    assert listener.main(["--model", str(toy_bundle().path)]) == 2
    assert "has no listener" in capsys.readouterr().err


@pytest.fixture
def opposed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> opposing.Opposed:
    """A small separator and a listener, neither of which has learned anything."""
    torch.manual_seed(6)

    def embed(phrases: Iterable[str], encoder: str) -> dict[str, NDArray[np.float32]]:
        found = {}
        for phrase in phrases:
            row = np.random.default_rng(list(phrase.encode())).standard_normal(6)
            found[phrase] = (row / np.linalg.norm(row)).astype(np.float32)
        return found

    monkeypatch.setattr(opposing, "embed", embed)
    network = Solo(
        SoloConfig(width=16, memory=16, blocks=1, patch_width=8, maps=8, embedding=6)
    ).eval()
    facts = {"vocabulary": {name: [name] for name in ("dog", "rain", "piano")}, "encoder": ""}
    ear = Listener(["rain", "dog"]).eval()
    with torch.no_grad():
        network.readout.mul_(8)
        ear.presence.bias.fill_(-1.0)
    return opposing.Opposed(
        Checkpoint("solo", network, facts, ""), Checkpoint("listener", ear, {}, ""), tmp_path
    )


def test_settings_add_up(opposed: opposing.Opposed, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    audio = (0.1 * random.standard_normal(2 * 48_000)).astype(np.float32)
    smooth = np.convolve(audio, np.ones(30) / 5, "same")  # what a mask can tell from the noise
    soundfile.write(tmp_path / "a.wav", smooth, 48_000)
    soundfile.write(tmp_path / "b.wav", audio[::-1].copy(), 48_000)
    excerpts = Excerpt("a.wav", 0.0, 0.0), (Excerpt("b.wav", 0.0, 0.0),)
    mixture = Mixture("1", "dog", "class", "dog", 2, 1.5, *excerpts, 0.0)
    words = random.standard_normal(6).astype(np.float32)
    (alone, found), present = opposed.score(
        mixture, words, [opposing.NO_LISTENER, (0.6, -0.4, 0.2)]
    )
    assert present and found != pytest.approx(alone, abs=0.01)

    network = opposed.network
    signals = torch.from_numpy(np.stack(render(mixture, tmp_path)).astype(np.float32))
    whole, target = network.config.frontend.analyse(signals)
    asked = network.condition(torch.from_numpy(words)[None])
    rows = [asked.detach().numpy()]
    terms = replace(OPPOSITION, share=0.6, bias=-0.4, lift=0.2)
    with torch.no_grad():
        heard = list(opposed.presence(signals[0]))
    assert len(heard) == 6  # 1.5 s, every 0.24 s
    rows += [Opposer(opposed.classes, terms)(rows[0], 1, one) for one in heard]
    logits = []
    with torch.no_grad():
        power = torch.view_as_real(whole).square().sum(-1)
        maps, _ = network.trunk((power @ network.band_mean)[None], network.initial_state(1))
        for hop in range(maps.shape[1]):
            # the newest window that ended 12 hops, 32 ms, before
            newest = rows[max(0, (hop + 1 - 12) // 90)]
            logits.append(network.logits(maps[:, hop : hop + 1], torch.from_numpy(newest))[0, 0, 0])
    spread = (network.band_mean > 0).float()
    cross = (torch.view_as_real(whole) * torch.view_as_real(target)).sum(-1) @ spread
    source = float(torch.view_as_real(target).square().sum())
    judged = Heard(torch.stack(logits), power @ spread, cross, source)
    assert found == pytest.approx(figure(torch.sigmoid(judged.logits), judged), abs=1e-3)


def test_what_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = str(tmp_path / "none.pt")
    assert opposing.main([none, none, "--mixtures", none]) == 2
    error = capsys.readouterr().err
    assert error.startswith("soloist: ") and error.count("\n") == 1
