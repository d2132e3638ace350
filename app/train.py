"""`soloist train`: a recipe and recordings into a checkpoint. It needs torch and its harness."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import SoloistError
from .checkpoints import extra
from .cli import INTERRUPTED
from .console import people, progress_bar, say

_QUIET_S = 60.0
"""What has no bar, such as a log, gets a line as often as this."""


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="clipsep, clipsep-nit, bertsep, ...")
    ],
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The recipe's settings, as TOML.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="For checkpoints and logs.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Take up the run that is in DIR.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where it learns.")
    ] = "auto",
) -> int:
    """Train a network by one of the papers' recipes.

    DIR gets checkpoint.pt, for `soloist export`, resume.pt, and a log for TensorBoard. Ctrl-C saves
    the run, and --resume goes on with it as if it had never stopped. Under `torchrun` the same
    command learns in several processes. docs/training.md has the recipes and their settings.
    """
    with extra("train", "train"):
        from ..training.recipes import RECIPES
        from ..training.settings import SettingsError, read_settings
        from ..training.trainer import RESUME, Diverged, Trainer, Watch
    if device not in ("auto", "cpu", "cuda"):
        raise SoloistError(f"--device takes auto, cpu or cuda, found {device!r}")
    if recipe not in RECIPES:
        raise SoloistError(f"no recipe {recipe!r}; there are {', '.join(RECIPES)}")
    if not resume and (output / RESUME).exists():
        raise SoloistError(f"{str(output)!r} holds a run; --resume goes on with it")
    named = RECIPES[recipe]
    try:
        settings = read_settings(config, named.settings)
        say(f"reading {settings.manifest}")
        trainer = Trainer(named.make(settings), output, device)
        if resume:
            trainer.resume()
    except (SettingsError, ValueError, OSError, RuntimeError) as error:
        raise SoloistError(f"cannot train {recipe}: {error}") from error
    with progress_bar(f"{recipe}, {settings.steps} steps") as bar:

        class Display(Watch):
            told = -math.inf

            def stepped(self, step: int, loss: float) -> None:
                bar(step / settings.steps)
                if not people.is_terminal and time.monotonic() - self.told >= _QUIET_S:
                    say(f"step {step} of {settings.steps}, loss {loss:.4g}")
                    self.told = time.monotonic()

            def checked(self, figures: Mapping[str, float]) -> None:
                if figures:
                    say(", ".join(f"{name} {figure:g}" for name, figure in figures.items()))

        display = Display()
        with _ctrl_c(lambda: setattr(display, "ended", True)):
            try:
                done = trainer.fit(display)
            except Diverged as error:
                raise SoloistError(str(error)) from error
    if not done:
        say(f"saved in {output}; --resume goes on with it")
        return INTERRUPTED
    say(f"written: {output / 'checkpoint.pt'}")
    return 0


@contextmanager
def _ctrl_c(first: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls `first`; another one does not wait."""

    def caught(number: int, frame: object) -> None:
        first()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, caught)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
