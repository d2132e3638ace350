"""Every system that can be exported, by name: what `soloist export NAME CHECKPOINT` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from ..runtime.errors import BundleError, QueryError
from ..runtime.spec import Precision, Spec
from ..separators.checkpoints import Checkpoint, load
from ..separators.clipsep_family import MEMBERS
from .asked import Asked
from .clipsep import clipsep_model
from .solo import export_bundle
from .windowed import WindowedModel, Windows, export_windowed

Builder = Callable[[Checkpoint[nn.Module], Path, Asked], WindowedModel]

WINDOWED: dict[str, Builder] = dict.fromkeys(MEMBERS, clipsep_model)
"""Systems that hear whole clips, and what makes a windowed model of a checkpoint and queries."""

SYSTEMS = ("solo", *WINDOWED)


def export_system(
    system: str,
    checkpoint: Path,
    asked: Asked,
    output: Path,
    windows: Windows,
    *,
    name: str | None = None,
    card: str | None = None,
    precision: Precision = "fp32",
) -> Spec:
    """Writes a bundle of a checkpoint of that system.

    Args:
        system: one of :data:`SYSTEMS`.
        name: what the bundle calls itself; by default as the system.
        precision: of the large weights of ``solo``.

    Returns:
        The spec that the bundle carries.

    Raises:
        BundleError: the checkpoint is not that system's, or the bundle cannot be written.
        QueryError: queries that the system cannot take.
    """
    if system not in SYSTEMS:
        raise BundleError(f"no system {system!r}; known: {', '.join(SYSTEMS)}")
    if system == "solo":
        if asked.embeddings:
            raise QueryError("solo takes its queries in words, with -q")
        words = asked.queries
        return export_bundle(
            checkpoint, words, output, name=name or system, card=card, precision=precision
        )
    if precision != "fp32":
        raise BundleError(f"{system} is exported in fp32 only, not in {precision}")
    try:
        loaded = load(checkpoint)
    except ValueError as error:
        raise BundleError(str(error)) from error
    if loaded.architecture != system:
        raise BundleError(
            f"{checkpoint} is a checkpoint of {loaded.architecture}, not of {system}; "
            f"use: soloist export {loaded.architecture}"
        )
    model = WINDOWED[system](loaded, checkpoint, asked)
    return export_windowed(model, output, windows, name=name or system, card=card)
