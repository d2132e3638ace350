"""Several ``solo`` networks as one, which plays and is asked as a single one is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .solo import BandFusion, Solo


class SoloEnsemble(BandFusion):
    """Several networks that vote: the mean of their logits.

    They hear the same bands, and differ by the random weights they began with: where they take one
    sound for another they seldom take it for the same one (Lakshminarayanan et al. 2017). Their
    maps lie side by side, and the words weigh them all at once.

    Args:
        members: at least two, of the same front end, bands, patches and running means.

    Raises:
        ValueError: they do not fit together.
    """

    def __init__(self, members: Sequence[Solo]) -> None:
        heard = {_hearing(member) for member in members}
        if len(members) < 2 or len(heard) > 1:
            raise ValueError(
                "an ensemble takes two networks or more, of the same bands and patches"
            )
        super().__init__(members[0].config, sum(member.maps for member in members))
        self.networks = nn.ModuleList(members)

    @property
    def members(self) -> tuple[Solo, ...]:
        return tuple(cast("Iterable[Solo]", self.networks))

    @property
    def state_size(self) -> int:
        return sum(member.state_size for member in self.members)

    def trunk(self, power: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        states = state.split([member.state_size for member in self.members], dim=-1)
        pairs = zip(self.members, states, strict=True)
        maps, new = zip(*(member.trunk(power, own) for member, own in pairs), strict=True)
        return torch.cat(maps, dim=-1), torch.cat(new, dim=-1)

    def condition(self, embedding: Tensor) -> Tensor:
        count, patch = len(self.members), self.config.patch
        asked = [m.condition(embedding).unflatten(-1, (-1, patch)) / count for m in self.members]
        bias = torch.stack([rows[..., -1:, :] for rows in asked]).sum(0)
        return torch.cat([*(rows[..., :-1, :] for rows in asked), bias], dim=-2).flatten(-2)


def _hearing(network: Solo) -> tuple[object, ...]:
    """What must be the same of all members."""
    c = network.config
    bands = c.frontend, c.linear_bands, c.band_growth
    return *bands, c.patch, c.patch_reach, c.smoothing, c.embedding
