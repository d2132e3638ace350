"""The words of a class ask for one thing: gates evened out after training, without any sound.

Each phrase has its gates from the few clips it was drawn with, some better than others. Their mean
over the phrases of a class is steadier. So the words' network learns to give every phrase of a
class, and what lies around and between them, the mean gates of its class; and with them other words
for the class that no recording came with (``synonyms.csv``). The trunk stays as it is.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray

from ..separators.solo import Solo
from .mixtures import query_near

_OFTEN = 3


def synonyms(name: str = "synonyms") -> dict[str, tuple[str, ...]]:
    """Other words for the classes of the training data, written down by hand.

    Args:
        name: ``"synonyms"`` to learn, ``"unlearnt_synonyms"`` to try out what was learnt.
    """
    text = files(__package__).joinpath(f"{name}.csv").read_text(encoding="utf8")
    rows = csv.DictReader(text.splitlines())
    return {row["class"]: tuple(row["phrases"].split("|")) for row in rows}


def even_out(
    network: Solo,
    embeddings: Mapping[str, NDArray[np.float32]],
    classes: Mapping[str, Sequence[str]],
    others: Mapping[str, tuple[str, ...]],
    *,
    steps: int = 600,
    batch: int = 256,
    rate: float = 1e-3,
    seed: int = 0,
) -> None:
    """Teaches ``network.conditioner`` the mean gates of each class, in place.

    Args:
        network: a trained network.
        embeddings: unit-length embedding of every phrase.
        classes: the phrases of each class that it was trained on, which the mean is taken over.
        others: more phrases of some of these classes, see :func:`synonyms`.
        steps, batch, rate: of AdamW; the rate falls to zero.
        seed: the same seed gives the same weights.
    """
    random = np.random.default_rng(seed)
    with torch.no_grad():
        tables = [torch.from_numpy(np.stack([embeddings[p] for p in m])) for m in classes.values()]
        means = torch.stack([network.conditioner(table).mean(0) for table in tables])
    # what was never heard of is drawn more often: nothing else teaches it
    members = [[*phrases, *_OFTEN * others.get(label, ())] for label, phrases in classes.items()]
    owner = np.array([k for k, phrases in enumerate(members) for _ in phrases])
    optimiser = torch.optim.AdamW(network.conditioner.parameters(), lr=rate, weight_decay=0.0)
    for step in range(steps):
        labels = random.choice(owner, batch)
        points = [query_near(members[k], embeddings, random) for k in labels]
        error = network.conditioner(torch.from_numpy(np.stack(points))) - means[labels]
        torch.mean(error.square()).backward()
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.step()
        optimiser.zero_grad()
