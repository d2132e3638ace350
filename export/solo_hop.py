"""One hop of ``solo``, written out for speed: the same numbers from half as many operators.

A hop is so little work that every operator costs as much as what it computes, and a cold one more.
So whatever does not depend on the input is done here once, on the weights, and the layout of the
state is chosen so that nothing is cut, turned round or padded on the way. Parity with the network
is measured at each export; see ``parity``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..separators.recurrence import GatedRecurrence
from ..separators.solo import POWER_FLOOR, Solo


class SoloHop(nn.Module):
    """``forward(spectrum, conditioning, state) -> (stems, state)``, as the bundle's graph has it.

    The state is zeros at first, as the network's, but laid out otherwise: the running means come
    first, once for every place where a patch reads them, then the memories.
    """

    level_weight: Tensor
    level_bias: Tensor
    reach: Tensor
    approach: Tensor
    patch_weight: Tensor
    patch_bias: Tensor
    join_weight: Tensor
    join_bias: Tensor
    band_of_bin: Tensor

    def __init__(self, network: Solo) -> None:
        super().__init__()
        self.config = network.config
        self.patches = network.patches
        self._fold_levels(network)
        self._fold_patches(network)
        self._fold_join(network)
        self.register_buffer("band_of_bin", network.band_of_bin)
        self.mix_in, self.mix_out = network.mix_in, network.mix_out
        self.norm = network.norm
        recurrences = cast("Iterable[GatedRecurrence]", network.recurrences)
        self.blocks = nn.ModuleList(_Block(recurrence) for recurrence in recurrences)

    def _fold_levels(self, network: Solo) -> None:
        """The level is ``0.25 log(power + 1) + constant``; four levels are one logarithm's.

        One band more than there are has the level zero, for the patches that reach over the edge.
        """
        inside = math.exp(8.0) * POWER_FLOOR
        weight = functional.pad(network.band_mean * inside, (0, 1))
        bias = functional.pad(torch.full((network.bands,), inside), (0, 1), value=1.0)
        self.register_buffer("level_weight", weight)
        self.register_buffer("level_bias", bias)

    def _fold_patches(self, network: Solo) -> None:
        """What a patch reads, ``(patches, channels, reach)``, as one list of bands.

        A running mean moves by ``(1 - keep) (level - mean)``, and the level stands ``keep`` times
        that distance above the new mean. So the distance is the feature, and ``keep`` belongs to
        the weights. The level itself is the distance from a mean that never moves from zero.
        """
        c = self.config
        channels = 1 + len(c.smoothing)
        first = torch.arange(network.patches)[:, None] * c.patch - (c.patch_reach - c.patch) // 2
        band = first + torch.arange(c.patch_reach)
        band = torch.where((band < 0) | (band >= network.bands), network.bands, band)
        keep = functional.pad(network.leaky.keep[:, 0], (1, 0), value=1.0)
        approach = (1 - keep)[:, None].expand(network.patches, -1, c.patch_reach)
        weight = network.patch_in.weight.unflatten(1, (channels, -1)) * (0.25 * keep[:, None])
        self.register_buffer("reach", band[:, None].expand(-1, channels, -1).flatten())
        self.register_buffer("approach", approach.flatten())
        self.register_buffer("patch_weight", weight.detach().flatten(1).T.contiguous())
        self.register_buffer("patch_bias", (network.patch_place + network.patch_in.bias).detach())

    def _fold_join(self, network: Solo) -> None:
        """Local and context features side by side, one product instead of two.

        A map more than there are is always one: it carries the bias of the words' read-out.
        """
        weight = torch.cat([network.join_local.weight, network.join_context.weight], dim=1).T
        self.register_buffer("join_weight", functional.pad(weight, (0, 1)).detach())
        bias = functional.pad(network.join_local.bias, (0, 1), value=1.0)
        self.register_buffer("join_bias", bias.detach())

    @property
    def state_size(self) -> int:
        """Length of the flat state of one audio channel."""
        return len(self.reach) + self.config.blocks * self.config.memory

    def forward(
        self, spectrum: Tensor, conditioning: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Separates one frame.

        Args:
            spectrum: ``(batch, bins, 2)`` float32, real and imaginary parts.
            conditioning: ``(queries, conditioning_size)`` float32, as the network's.
            state: ``(batch, state_size)`` float32.

        Returns:
            Stems ``(batch, queries, bins, 2)`` and the next state.
        """
        c = self.config
        means, *memories = state.split([len(self.reach)] + [c.memory] * c.blocks, dim=-1)
        power = spectrum.square().sum(-1)
        level = torch.log(torch.addmm(self.level_bias, power, self.level_weight))
        distance = level.index_select(-1, self.reach) - means
        means = means + self.approach * distance

        patches = distance.reshape(-1, self.patches, len(self.patch_weight))
        local = torch.relu(patches @ self.patch_weight + self.patch_bias)
        x = self.mix_in(local.flatten(1))
        for at, block in enumerate(self.blocks):
            x, memories[at] = block(x, memories[at])
        # turned into rows before the relu: onnxruntime would fuse it with the product otherwise,
        # and such a product is not taken in int8
        context = torch.relu(self.mix_out(self.norm(x)).reshape(-1, c.patch_width))
        joined = torch.cat([local.reshape(-1, c.patch_width), context], dim=-1)
        maps = torch.relu(torch.addmm(self.join_bias, joined, self.join_weight))

        read = maps.reshape(-1, 1, self.patches, c.maps + 1) @ conditioning.unflatten(
            -1, (c.maps + 1, c.patch)
        )
        # the residual is a query whose logit is zero
        mask = torch.softmax(functional.pad(read.flatten(2), (0, 0, 0, 1)), dim=1)[:, :-1]
        stems = mask.index_select(-1, self.band_of_bin)[..., None] * spectrum[:, None]
        return stems, torch.cat([means, *memories], dim=-1)


class _Block(nn.Module):
    """A ``GatedRecurrence`` of one frame."""

    def __init__(self, recurrence: GatedRecurrence) -> None:
        super().__init__()
        value, forget, gate = recurrence.project.bias.detach().chunk(3)
        self.norm, self.out = recurrence.norm, recurrence.out
        self.project = nn.Linear(len(recurrence.norm.weight), 3 * len(value))
        self.project.weight = recurrence.project.weight
        forget = forget + recurrence.forget_bias.detach()
        self.project.bias = nn.Parameter(torch.cat([value, forget, gate]))

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        value, forget, gate = self.project(self.norm(x)).chunk(3, dim=-1)
        memory = value + torch.sigmoid(forget) * (memory - value)
        return x + self.out(memory * functional.silu(gate)), memory
