"""What a run of training is told: a TOML file, checked before anything is loaded.

    manifest = "data/manifest.csv"
    mixtures = "data/dev_mixtures.csv"
    steps = 4000

    [network]
    maps = 32

The keys at the top belong to every run; the tables are those of the recipe.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

_MOST_BYTES = 1 << 20


class SettingsError(ValueError):
    """A file of settings cannot be used; the message is for people."""


class Table(BaseModel):
    """A table of settings: unknown keys and values out of range are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _beside(path: Path, info: ValidationInfo) -> Path:
    """The path as seen from the folder of the settings, where they come from a file."""
    return path if info.context is None else info.context["folder"] / path


FilePath = Annotated[Path, AfterValidator(_beside)]
"""A path in a file of settings, relative to its folder."""


class Run(Table):
    """What every recipe is told.

    Attributes:
        manifest: recordings to learn from, see :func:`~.clips.load_clips`.
        mixtures: list of mixtures to score on, see :mod:`~.mixture_list`; none: no scores.
        steps: where the run ends. The last ``cool_down`` of them lower the learning rate to zero,
            the first ``warm_up`` raise it to ``rate``.
        batch: mixtures a step, of all processes together.
        check: steps between two scores; each saves the run.
        every: of the listed mixtures one in so many is scored.
        seed: the same seed gives the same run, however often it is interrupted.
        precision: of the network's products; losses are in float32 always.
        workers: processes that draw mixtures, for each process that learns from them; 0: none.
        average: decay of the running average of the weights, which is what is scored and kept.
        clip: greatest length of a step's gradient.
    """

    manifest: FilePath
    mixtures: FilePath | None = None
    steps: int = Field(default=4000, ge=1)
    warm_up: int = Field(default=100, ge=1)
    cool_down: int = Field(default=1000, ge=1)
    batch: int = Field(default=16, ge=1)
    rate: float = Field(default=1e-3, gt=0, lt=1)
    check: int = Field(default=200, ge=1)
    every: int = Field(default=3, ge=1)
    seed: int = Field(default=1, ge=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    workers: int = Field(default=1, ge=0, le=64)
    average: float = Field(default=0.999, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)

    @property
    def told(self) -> dict[str, Any]:
        """All settings as JSON holds them, but for paths, which mean nothing elsewhere."""
        return _without_paths(self.model_dump())

    @model_validator(mode="after")
    def _fits(self) -> Run:
        if self.warm_up + self.cool_down > self.steps + 1:
            raise ValueError(
                f"warm_up {self.warm_up} and cool_down {self.cool_down} do not fit into "
                f"{self.steps} steps"
            )
        return self


def _without_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: _without_paths(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    return {
        key: value
        for key, value in kept.items()
        if not isinstance(value, Path)
        and not (isinstance(value, tuple) and any(isinstance(one, Path) for one in value))
    }


Settings = TypeVar("Settings", bound=Run)


def read_settings(path: Path, kind: type[Settings]) -> Settings:
    """Reads a file of settings; paths in it are relative to its folder.

    Raises:
        SettingsError: it cannot be read, is no TOML, or holds what a recipe does not take.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"the settings {path} are longer than {_MOST_BYTES} bytes")
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"the settings {path} are no TOML: {error}") from error
    try:
        return kind.model_validate(values, context={"folder": path.parent})
    except ValidationError as error:
        raise SettingsError(f"the settings {path}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    """One fault in a line: where, what was expected, what was found."""
    fault = error.errors()[0]
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"{where} is no setting of this recipe"
    if fault["type"] == "missing":
        return f"{where} is missing"
    text = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {text}, found {fault['input']!r:.60}" if where else text
