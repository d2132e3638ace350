"""The one loop behind every recipe: steps, averages, scores, and runs that can be taken up again.

Alone or, unchanged, in several processes that `torchrun` starts: each takes every n-th example of a
step, and their gradients are averaged (Lightning Fabric). Examples are drawn by number and chance
is seeded by step, so a run that was interrupted gives the weights that it would have given.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Sampler

from .clips import manifest_hash
from .listening import show
from .recipe import Recipe
from .settings import Run

RESUME = "resume.pt"
"""In a run's folder: all that is needed to take it up again."""


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


class Watch:
    """Who looks on while a run goes; this one sees nothing and never ends it."""

    ended = False
    """Set it to have the run saved and ended after the step that is going on."""

    def stepped(self, step: int, loss: float) -> None:
        """A step is done. In one process only, if there are several."""

    def checked(self, figures: Mapping[str, float]) -> None:
        """The run was scored and saved; no figures where another process did it."""


class Trainer:
    """A recipe at work in a folder.

    Args:
        recipe: what learns.
        folder: for checkpoints and logs; made if it is not there.
        accelerator: ``"auto"`` takes a GPU if there is one; ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, recipe: Recipe[Run], folder: Path, accelerator: str = "auto") -> None:
        self.recipe, self.run, self.folder = recipe, recipe.settings, folder
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.fabric = Fabric(
            accelerator=accelerator,
            devices=processes,
            num_nodes=int(os.environ.get("WORLD_SIZE", "1")) // processes,
            precision=self.run.precision,
            loggers=TensorBoardLogger(folder, name="", version="log"),
        )
        self.fabric.launch()
        if self.run.batch % self.fabric.world_size:
            raise ValueError(
                f"a batch of {self.run.batch} does not divide among {self.fabric.world_size} "
                "processes"
            )
        self.average = deepcopy(recipe.network).requires_grad_(False).eval()
        optimisers = recipe.optimisers()
        self.peaks = [[group["lr"] for group in o.param_groups] for o in optimisers]
        wrapped = self.fabric.setup(recipe, *optimisers)
        self.module: nn.Module = wrapped[0]
        self.optimisers: list[Optimizer] = list(wrapped[1:])
        self.average.to(self.fabric.device)
        self.step_count, self.minutes = 0, 0.0
        self.curve: list[dict[str, float]] = []
        self.legs: list[dict[str, Any]] = []

    def fit(self, watch: Watch | None = None) -> bool:
        """Learns until the last step, or until the one who watches ends it.

        Returns:
            Whether the last step was reached. The run is saved in any case.

        Raises:
            Diverged: the loss is no longer a number; the folder holds the last good check.
        """
        watch = watch or Watch()
        self.legs.append({"first_step": self.step_count, "processes": self.fabric.world_size})
        began = time.monotonic() - 60 * self.minutes
        losses: list[Tensor] = []
        for batch in self._batches():
            losses.append(self._step(batch))
            self.minutes = (time.monotonic() - began) / 60
            if self.fabric.is_global_zero:
                watch.stepped(self.step_count, float(losses[-1]))
            leave = self._any(watch.ended)
            last = self.step_count == self.run.steps
            if last or leave or self.step_count % self.run.check == 0:
                figures = self._check(float(torch.stack(losses).mean()))
                losses.clear()
                watch.checked(figures)
            if leave:
                break
        return self.step_count == self.run.steps

    def resume(self) -> None:
        """Takes up the run that the folder holds.

        Raises:
            ValueError: it holds none, or one of another recipe.
        """
        path = self.folder / RESUME
        try:
            saved = torch.load(path, map_location=self.fabric.device, weights_only=True)
        except FileNotFoundError as error:
            raise ValueError(f"{self.folder} holds no run to resume") from error
        try:
            self.recipe.load_state_dict(saved["recipe"])
            self.average.load_state_dict(saved["average"])
            for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"{path} is of another recipe or of other sizes") from error
        self.step_count, self.minutes = saved["step"], saved["minutes"]
        self.curve, self.legs = saved["curve"], saved["legs"]

    def _batches(self) -> Iterator[Any]:
        """The batches that are still to come, this process's part of each."""
        fabric, run = self.fabric, self.run
        shard = _Shard(
            range(run.batch * self.step_count, run.batch * run.steps),
            fabric.global_rank,
            fabric.world_size,
        )
        loader: DataLoader[Any] = DataLoader(
            self.recipe.examples,
            run.batch // fabric.world_size,
            sampler=shard,
            num_workers=run.workers,
        )
        return iter(fabric.setup_dataloaders(loader, use_distributed_sampler=False))

    def _step(self, batch: Any) -> Tensor:
        """Learns from one batch; returns the loss of all processes' parts."""
        run = self.run
        torch.manual_seed(run.seed * 1_000_003 + self.step_count)
        share = rate(self.step_count, run.steps, run.warm_up, run.cool_down)
        for optimiser, peaks in zip(self.optimisers, self.peaks, strict=True):
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = share * peak
        self.module.train()
        loss: Tensor = self.module(batch)
        self.fabric.backward(loss)
        nn.utils.clip_grad_norm_(self.module.parameters(), run.clip)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.step_count += 1
        self._take_average()
        total = self.fabric.all_reduce(loss.detach(), reduce_op="mean")
        assert isinstance(total, Tensor)
        return total

    @torch.no_grad()
    def _take_average(self) -> None:
        decay = min(self.run.average, 1 - 1 / (self.step_count + 1))
        for mean, new in zip(
            self.average.parameters(), self.recipe.network.parameters(), strict=True
        ):
            mean.lerp_(new, 1 - decay)
        # running statistics of norms are averages already
        for kept, now in zip(self.average.buffers(), self.recipe.network.buffers(), strict=True):
            kept.copy_(now)

    def _check(self, loss: float) -> dict[str, float]:
        """Scores the averaged network and saves the run; one process does, the others wait.

        Returns:
            What was found, which is the curve's new point; nothing where another process did it.
        """
        if not math.isfinite(loss):
            raise Diverged(f"the loss at step {self.step_count} is {loss}; lower the rate")
        point: dict[str, float] = {}
        if self.fabric.is_global_zero:
            figures, heard = self.recipe.score(self.average)
            numbers = {"minutes": round(self.minutes, 1), "loss": round(loss, 4), **figures}
            point = {"step": self.step_count, **numbers}
            self.curve.append(point)
            self._save()  # before the log, which a full disk may refuse
            self.fabric.log_dict(numbers, self.step_count)
            show(self.fabric.logger, heard, self.step_count)
        self.fabric.barrier()
        return point

    def _any(self, ended: bool) -> bool:
        """Whether any process wants to leave: all leave after the same step."""
        if self.fabric.world_size == 1:
            return ended
        votes = self.fabric.all_reduce(torch.tensor(float(ended)), reduce_op="sum")
        assert isinstance(votes, Tensor)
        return bool(votes > 0)

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "manifest_sha256": manifest_hash(self.run.manifest),
            "settings": self.run.told,
            "legs": self.legs,
            "curve": self.curve,
        }
        self.recipe.write(self.folder, self.average, facts)
        write(
            self.folder / RESUME,
            {
                "recipe": self.recipe.state_dict(),
                "average": self.average.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "step": self.step_count,
                "minutes": self.minutes,
                "curve": self.curve,
                "legs": self.legs,
            },
        )


class _Shard(Sampler[int]):
    """Every n-th number of a range: one process's part."""

    def __init__(self, numbers: range, first: int, processes: int) -> None:
        self.numbers = numbers[first::processes]

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def curve(folder: Path) -> list[dict[str, float]]:
    """The scores of the run that a folder holds, the last one that of the step it was saved at."""
    saved = torch.load(folder / RESUME, map_location="cpu", weights_only=True)
    found: list[dict[str, float]] = saved["curve"]
    return found


def rate(step: int, steps: int, warm_up: int, cool_down: int) -> float:
    """Share of the peak learning rate: a linear warm-up, a plateau, a linear cool-down."""
    return max(0.0, min(1.0, (step + 1) / warm_up, (steps - step) / max(1, cool_down)))


def write(path: Path, content: object) -> None:
    """As ``torch.save``, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    torch.save(content, partial)
    partial.replace(path)
