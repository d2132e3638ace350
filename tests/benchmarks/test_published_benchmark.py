import json

import pytest
import torch
from torch import Tensor, nn

from soloist.benchmarks import published
from soloist.benchmarks.published import Form
from soloist.separators.spectrogram import Spectrogram

FRONT = Spectrogram(16_000, 62, 16, 511, "reflect")  # 32 bins, 32 frames


class Toy(nn.Module):
    """A product over the frames, and as many more as there are queries."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(FRONT.frames))

    def forward(self, spectrogram: Tensor, conditioning: Tensor) -> Tensor:
        x = spectrogram[..., 0] @ self.weight
        return torch.sigmoid((x[:, None] * conditioning[:, :1, None]) @ self.weight)[..., None]


def toys(advance: int) -> list[Form]:
    assert advance == 3
    return [Form("toy", name, Toy().eval(), FRONT, torch.ones(2, 4)) for name in ("a", "b")]


@pytest.mark.slow
def test_products_are_counted_and_runs_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(published, "SYSTEMS", {"toy": toys})
    assert published.main(["--advance", "3", "--runs", "1", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["forms"]
    assert (first["form"], second["form"]) == ("a", "b")
    assert first["gmac"] == pytest.approx(2 * 32**3 / 1e9)
    assert first["next_gmac"] == pytest.approx(32**3 / 1e9)
    assert first["seconds"] > 0
    assert published.main(["toy", "--advance", "3", "--runs", "1"]) == 0
    assert "100.0%" in capsys.readouterr().out
