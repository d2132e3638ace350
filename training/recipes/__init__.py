"""The recipes of the papers by name: each is a network, a loss and what it learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..recipe import Recipe
from ..settings import Run
from . import clapsep, solo
from .bimodal import BiModalWords, Semi, Weak
from .clap_mini import ContrastiveHtsat, ContrastiveMini, Htsat, Mini
from .clipsep import Family, Labels, MixAndSeparate, NoiseInvariant, Permutation, Words
from .listener import Listening, Presence


@dataclass(frozen=True)
class Named:
    """A recipe, and the settings that its file may hold."""

    settings: type[Run]
    make: Callable[[Any], Recipe[Any]]


RECIPES: dict[str, Named] = {
    "clipsep": Named(Family, MixAndSeparate),
    "clipsep-nit": Named(Family, NoiseInvariant),
    "bertsep": Named(Family, Words),
    "labelsep": Named(Family, Labels),
    "pit": Named(Family, Permutation),
    "clap-mini": Named(Mini, ContrastiveMini),
    "clap-htsat": Named(Htsat, ContrastiveHtsat),
    "weak": Named(Weak, BiModalWords),
    "semi": Named(Semi, BiModalWords),
    "solo": Named(solo.SoloRun, solo.Supervised),
    "solo-nit": Named(solo.SoloRun, solo.NoiseInvariant),
    "listener": Named(Listening, Presence),
    "clapsep": Named(clapsep.Settings, clapsep.Adaptation),
}
"""As in ``soloist train NAME``."""
