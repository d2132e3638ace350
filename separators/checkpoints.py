"""Checkpoints of our own separators: what training writes and export reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .solo import Solo, SoloConfig


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and what is known about its training.

    Attributes:
        network: in evaluation mode, the averaged weights.
        facts: how it was trained: manifest hash, seed, recipe, the phrases of each class.
        curve: figures on the development mixtures as training went on.
        sha256: digest of the file.
    """

    network: Solo
    facts: Mapping[str, Any]
    curve: list[dict[str, float]]
    sha256: str


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint; never runs code from it.

    Raises:
        ValueError: the file is no checkpoint of ours, or its weights do not fit its sizes.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        network = Solo(SoloConfig(**saved["config"]))
        network.load_state_dict(saved["weights"])
        facts, curve = saved["facts"], saved["curve"]
        for fact in ("vocabulary", "encoder"):  # without these nobody can ask it for anything
            facts[fact]
    except Exception as error:  # zip, pickle, key and shape faults share no base class
        reason = str(error).partition("\n")[0][:160]
        raise ValueError(f"{path} is no checkpoint of soloist training ({reason})") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Checkpoint(network.eval(), facts, curve, digest)
