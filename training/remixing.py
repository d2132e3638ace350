"""Sounds that a separator found in mixtures, remixed: what it learns to separate next.

What one network takes for a sound holds some of the sound that was beside it. Beside others, which
is how the next network hears it, that rest cannot be told from them, so that it learns to leave it
out. Nobody has to know a sound alone. Source: RemixIT (Tzinis et al., IEEE JSTSP 2022), which does
so with speech and noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

SURENESS = 0.5
"""Weakly supervised masks are surer than they are right: by so much their logits are lessened."""
LEVELS_DB = (-9.0, 3.0)
"""How loud a remixed mixture is beside those that its sounds are from."""


def estimates(masks: Tensor, mixtures: Tensor) -> Tensor:
    """Mixtures shared out among the sounds in them, in proportion to masks made less sure.

    Args:
        masks: ``(mixtures, K, bins, frames)``, from 0 to 1, of each sound.
        mixtures: ``(mixtures, bins, frames)`` complex.

    Returns:
        ``(mixtures, K, bins, frames)`` complex, which add up to the mixtures where any mask is
        open.
    """
    unsure = torch.sigmoid(SURENESS * torch.logit(masks, eps=1e-6))
    return unsure / unsure.sum(1, keepdim=True).clamp(min=1e-3) * mixtures[:, None]


def partners(phrases: Tensor, places: Tensor) -> Tensor:
    """Which sounds come together: the first of a mixture with others from its place, at random.

    Args:
        phrases: ``(mixtures, K)`` int64, the sounds that were heard together.
        places: ``(mixtures,)`` int64.

    Returns:
        ``(mixtures, K)`` int64: sound k of remixed mixture n is from mixture ``[n, k]``. Where one
        phrase would be asked for twice, they stay as they were.
    """
    own = torch.arange(len(phrases), device=phrases.device)[:, None].expand_as(phrases)
    chosen = own.clone()
    in_order = torch.argsort(places, stable=True)
    for k in range(1, phrases.shape[1]):
        chance = torch.rand(len(places), dtype=torch.float64, device=places.device)
        chosen[in_order, k] = torch.argsort(places + chance)
    asked = phrases.gather(0, chosen).sort(1).values
    twice = (asked[:, 1:] == asked[:, :-1]).any(1, keepdim=True)
    return torch.where(twice, own, chosen)


def at_random_levels(sounds: Tensor) -> Tensor:
    """Sounds ``(mixtures, K, bins, frames)``, those of a mixture louder or quieter together."""
    quietest, loudest = LEVELS_DB
    chance = torch.rand(len(sounds), 1, 1, 1, device=sounds.device)
    return sounds * 10 ** ((quietest + (loudest - quietest) * chance) / 20)
