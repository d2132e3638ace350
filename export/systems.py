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
from .audiosep import audiosep_model, audiosep_whole
from .bimodal import bimodal_model, bimodal_whole
from .clapsep import clapsep_model, clapsep_whole
from .clipsep import clipsep_model, clipsep_whole
from .solo import export_bundle
from .whole import WholeFile
from .windowed import WindowedModel, Windows, export_windowed

Builder = Callable[[Checkpoint[nn.Module], Path, Asked], WindowedModel]

WholeBuilder = Callable[[Checkpoint[nn.Module], Path, Asked, float | None], WholeFile]

WINDOWED: dict[str, Builder] = {
    **dict.fromkeys(MEMBERS, clipsep_model),
    "bimodal": bimodal_model,
    "clapsep": clapsep_model,
    "audiosep": audiosep_model,
}
"""Systems that hear whole clips, and what makes a windowed model of a checkpoint and queries."""

WHOLE: dict[str, WholeBuilder] = {
    **dict.fromkeys(MEMBERS, clipsep_whole),
    "bimodal": bimodal_whole,
    "clapsep": clapsep_whole,
    "audiosep": audiosep_whole,
}
"""Systems whose authors' inference of whole files is here, and what makes it of the same, with the
threshold of binary masks; None means soft ones."""

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
    listener: Path | None = None,
) -> Spec:
    """Writes a bundle of a checkpoint of that system.

    Args:
        system: one of :data:`SYSTEMS`.
        name: what the bundle calls itself; by default as the system.
        precision: of the large weights, or of products with them; not every system has another.
        listener: checkpoint of a listener for ``solo`` to carry.

    Returns:
        The spec that the bundle carries.

    Raises:
        BundleError: the checkpoint is not that system's, takes no listener, or the bundle cannot
            be written.
        QueryError: queries that the system cannot take.
    """
    if system not in SYSTEMS:
        raise BundleError(f"no system {system!r}; known: {', '.join(SYSTEMS)}")
    if system == "solo":
        if asked.embeddings or asked.negatives:
            raise QueryError("solo takes its queries in words, with -q; negatives when it plays")
        words = asked.queries
        return export_bundle(
            checkpoint,
            words,
            output,
            name=name or system,
            card=card,
            precision=precision,
            listener=listener,
        )
    if listener is not None:
        raise BundleError(f"a listener goes with solo, not with {system}; leave --listener out")
    loaded = _load(checkpoint)
    if loaded.architecture != system:
        raise BundleError(
            f"{checkpoint} is a checkpoint of {loaded.architecture}, not of {system}; "
            f"use: soloist export {loaded.architecture}"
        )
    model = WINDOWED[system](loaded, checkpoint, asked)
    return export_windowed(
        model, output, windows, name=name or system, card=card, precision=precision
    )


def open_whole(checkpoint: Path, asked: Asked, threshold: float | None) -> WholeFile:
    """The whole-file procedure of a checkpoint's system.

    Args:
        threshold: a cell of the masks is kept whole above it, else dropped; None: soft masks.

    Raises:
        BundleError: no checkpoint of a system that has such a procedure.
        QueryError: queries that the system cannot take.
    """
    loaded = _load(checkpoint)
    if loaded.architecture not in WHOLE:
        raise BundleError(
            f"{checkpoint} is a checkpoint of {loaded.architecture}, which has no whole-file "
            f"procedure of its own; those that have: {', '.join(WHOLE)}"
        )
    return WHOLE[loaded.architecture](loaded, checkpoint, asked, threshold)


def _load(checkpoint: Path) -> Checkpoint[nn.Module]:
    try:
        return load(checkpoint)
    except ValueError as error:
        raise BundleError(str(error)) from error
