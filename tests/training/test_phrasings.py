"""Other phrasings cost what their masks differ by, mixture by mixture."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from soloist.training import phrasings
from soloist.training.calibration import Heard
from soloist.training.mixture_list import Mixture


def mixture(**named: Any) -> Mixture:
    told = {"target": object(), "target_class": "tom_drum", "query": "a tom", **named}
    made = object.__new__(Mixture)
    for key, value in told.items():
        object.__setattr__(made, key, value)
    return made


def test_a_target_is_asked_for_in_every_way() -> None:
    ways = phrasings.phrasings(mixture(), {"tom_drum": ("toms", "tom-tom")})
    assert ways["its plain name"] == ("tom drum",)
    assert ways["I hear NAME"] == ("I hear tom drum",)
    assert ways["a synonym"] == ("toms", "tom-tom")
    assert phrasings.phrasings(mixture(), {})["a synonym"] == ()


def test_the_cost_is_the_difference_of_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two bands that do not overlap: what a mask leaves of the other one is the figure."""

    trained = SimpleNamespace(network=None, facts={"encoder": "numbers"})
    left = {"a tom": 1e-2, "tom drum": 1e-1}  # 40 and 20 dB; any other words: nothing gained

    def hear(network: object, one: Mixture, root: Path, table: Any) -> Heard:
        amounts = torch.tensor([[left.get(WORDS[int(row[0])], 1.0)] for row in table])
        masks = torch.cat([torch.ones(len(table), 1), amounts], dim=1).clamp(1e-6, 1 - 1e-6)
        energy = torch.tensor([[1.0, 1.0]])
        return Heard(torch.logit(masks)[:, None], energy, torch.tensor([[1.0, 0.0]]), 1.0)

    monkeypatch.setattr(phrasings, "load_solo", lambda path: trained)
    monkeypatch.setattr(phrasings, "read_mixtures", lambda path: [mixture(), mixture(target=None)])
    monkeypatch.setattr(phrasings, "hear", hear)
    monkeypatch.setattr(phrasings, "embed", embed)
    found = phrasings.compare(Path("solo.pt"), Path("list.csv"), 1)
    assert found["its plain name"] == [pytest.approx((40.0, 20.0), abs=1e-2)]
    assert found["I hear NAME"] == [pytest.approx((40.0, 0.0), abs=1e-2)]
    assert "a synonym" not in found  # nobody wrote one down
    phrasings.main(["solo.pt", "--mixtures", "list.csv"])
    assert "20.00" in capsys.readouterr().out


WORDS: list[str] = []


def embed(words: set[str], encoder: str) -> dict[str, Any]:
    WORDS[:] = sorted(words)
    return {word: np.array([number], np.float32) for number, word in enumerate(WORDS)}
