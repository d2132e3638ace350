"""A recipe whose gradient anybody can work out: y = w x + b through noisy points, least squares.

Run as a program it trains in the folder that it is given, in as many processes as torchrun starts.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from soloist.training.recipe import Batch, Heard, Recipe
from soloist.training.settings import Run
from soloist.training.trainer import Trainer, write

SLOPE, OFFSET = 2.0, -1.0


class Points(Dataset[Mapping[str, Any]]):
    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng((7, index))
        x = random.uniform(-1, 1, 1).astype(np.float32)
        return {"x": x, "y": (SLOPE * x + OFFSET + random.normal(0, 0.1, 1)).astype(np.float32)}


class Line(Recipe[Run]):
    """A line, seen through dropout, so that chance has a part in every step."""

    network: nn.Linear

    def __init__(self, settings: Run, drop: float = 0.0) -> None:
        super().__init__()
        self.settings = settings
        self.network = nn.Linear(1, 1)
        nn.init.zeros_(self.network.weight)
        nn.init.zeros_(self.network.bias)
        self.drop = nn.Dropout(drop)
        self.examples = Points()

    def forward(self, batch: Batch) -> Tensor:
        error: Tensor = self.network(self.drop(batch["x"])) - batch["y"]
        return error.square().mean()

    def optimisers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.parameters(), lr=self.settings.rate)]

    def score(self, network: nn.Module) -> tuple[dict[str, float], list[Heard]]:
        assert isinstance(network, nn.Linear)
        tone = np.sin(np.arange(4096) / 10).astype(np.float32)
        return {"slope": network.weight.item()}, [Heard("a tone", 8000, tone, tone, 0 * tone)]

    def write(self, folder: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
        write(folder / "checkpoint.pt", {"weights": network.state_dict(), "facts": dict(facts)})


def settings(folder: Path, **more: Any) -> Run:
    manifest = folder / "manifest.csv"
    manifest.touch()
    told = {"steps": 12, "warm_up": 2, "cool_down": 4, "batch": 8, "rate": 0.1, "check": 4}
    return Run(manifest=manifest, workers=0, **{**told, **more})


if __name__ == "__main__":
    place = Path(sys.argv[1])
    Trainer(Line(settings(place)), place, "cpu").fit()
