"""Checkpoints to networks: our own, and the published systems' as their authors wrote them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from .checkpoint_files import check_finite, fill, read_arguments, read_file, unwrap
from .published import PUBLISHED
from .solo import Solo, SoloConfig, check_sizes

Network = TypeVar("Network", bound=nn.Module, covariant=True)


@dataclass(frozen=True)
class Checkpoint(Generic[Network]):
    """A trained network and what is known about its training.

    Attributes:
        architecture: name of the system, such as ``"solo"`` or ``"clipsep-nit"``.
        network: in evaluation mode; of ``solo`` the averaged weights.
        facts: how it was trained: of our own, manifest hash, seed, recipe, the phrases of each
            class; of a published one, what stands in its ``train-args.json``.
        sha256: digest of the file.
        curve: figures on the development mixtures as training went on.
    """

    architecture: str
    network: Network
    facts: Mapping[str, Any]
    sha256: str
    curve: list[dict[str, float]] = field(default_factory=list)


def load(path: Path) -> Checkpoint[nn.Module]:
    """Reads a checkpoint of any system that is known here; never runs code from it.

    Of a published system: a flat state dict or one under ``state_dict``, with or without the
    ``module.`` that ``DataParallel`` adds; ``train-args.json`` beside it, or beside its folder, is
    read where there is one.

    Raises:
        ValueError: it can be read only by running code from it, it is of no known system, its
            keys are not exactly those of the network, or weights are not finite.
    """
    path = Path(path)
    saved = read_file(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if isinstance(saved, Mapping) and {"config", "weights", "facts", "curve"} <= saved.keys():
        return _our_own(path, saved, digest)
    state = unwrap(saved)
    name = next((name for name in PUBLISHED if state and PUBLISHED[name].claims(state)), None)
    if state is None or name is None:
        known = ", ".join(["solo", *PUBLISHED])
        raise ValueError(f"{path} is no checkpoint of a system that is known here: {known}")
    arguments = read_arguments(path)
    try:
        own = PUBLISHED[name].own(state, path)
        network = PUBLISHED[name].build(own, arguments)
        fill(network, own)
    except ValueError as error:
        raise ValueError(f"{path} is no checkpoint of {name}: {error}") from error
    return Checkpoint(name, network.eval(), arguments, digest)


def load_solo(path: Path) -> Checkpoint[Solo]:
    """As :func:`load`, for a checkpoint of ``solo``; ``ValueError`` for any other."""
    found = load(path)
    if not isinstance(found.network, Solo):
        raise ValueError(f"{path} is a checkpoint of {found.architecture}, not of solo")
    return Checkpoint("solo", found.network, found.facts, found.sha256, found.curve)


def _our_own(path: Path, saved: Mapping[str, Any], digest: str) -> Checkpoint[nn.Module]:
    try:
        config = SoloConfig(**saved["config"])
        check_sizes(config, saved["weights"])  # before the network takes memory
        check_finite(saved["weights"])
        network = Solo(config)
        network.load_state_dict(saved["weights"])
        facts = saved["facts"]
        for fact in ("vocabulary", "encoder"):  # without these nobody can ask it for anything
            facts[fact]
    except Exception as error:  # type, key and shape faults share no base class
        reason = str(error).partition("\n")[0][:160]
        raise ValueError(f"{path} is no checkpoint of soloist training ({reason})") from error
    return Checkpoint("solo", network.eval(), facts, digest, saved["curve"])
