"""Solo: our causal separator for 48 kHz, with the words fused last.

The trunk hears the mixture and never the query. It makes K feature maps over time and frequency;
the query's K gates weigh them into the logits of a mask (late fusion as in CLIPSep, Dong et al.
2023). The memory is therefore the same whatever is asked for: several queries cost almost nothing
more, and the words can change in the middle of a note.

Per hop: bin powers -> bands -> log, with running means beside it -> overlapping frequency patches
-> one dense mix of all patches -> gated linear recurrences -> back to patches, joined with what
the patches held before -> feature maps -> masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .frontend import FrontEnd, band_edges
from .recurrence import GatedRecurrence, Leaky

POWER_FLOOR = 1e-8
"""The unit of a band's mean power, where a full-scale sine is about 1: silence is -80 dB."""


@dataclass(frozen=True)
class SoloConfig:
    """Sizes of a :class:`Solo` network; everything else about it follows.

    Attributes:
        linear_bands, band_growth: see :func:`~.frontend.band_edges`.
        patch, patch_reach: bands a patch stands for, and bands it sees.
        patch_width: features of a patch.
        width, memory, blocks: residual stream, memory cells a block, number of blocks.
        maps: number of feature maps, K.
        embedding: length of a query embedding.
        smoothing: time constants, in frames, of the running means.
    """

    sample_rate: int = 48_000
    n_fft: int = 1024
    hop: int = 128
    linear_bands: int = 24
    band_growth: float = 0.0798
    patch: int = 4
    patch_reach: int = 12
    patch_width: int = 64
    width: int = 320
    memory: int = 320
    blocks: int = 3
    maps: int = 128
    embedding: int = 384
    smoothing: tuple[float, ...] = (4.0, 16.0, 128.0)

    def __post_init__(self) -> None:
        counts = [v for k, v in vars(self).items() if k not in ("band_growth", "smoothing")]
        if not all(type(count) is int and 1 <= count <= 768_000 for count in counts):
            raise ValueError(f"sizes are {counts}, expected whole numbers from 1 on")
        if self.n_fft > 1 << 16 or self.n_fft < 2 * self.hop or self.n_fft % 2:
            raise ValueError(f"n_fft {self.n_fft} and hop {self.hop} do not fit")
        if not 0 < self.band_growth <= 10 or not 1 <= len(self.smoothing) <= 32:
            raise ValueError(f"bands grow by {self.band_growth}, smoothing is {self.smoothing}")
        if self.bands * self.frontend.bins > 1 << 24:
            raise ValueError(f"{self.bands} bands are too many for n_fft {self.n_fft}")

    @property
    def bands(self) -> int:
        """Number of frequency bands."""
        return len(self.edges) - 1

    @property
    def edges(self) -> list[int]:
        """See :func:`~.frontend.band_edges`."""
        return band_edges(self.frontend.bins, self.linear_bands, self.band_growth)

    @property
    def frontend(self) -> FrontEnd:
        return FrontEnd(self.sample_rate, self.n_fft, self.hop)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Solo(nn.Module):
    """The network: ``forward(spectrum, conditioning, state) -> (stems, state)``.

    ``conditioning`` is what :meth:`condition` makes of query embeddings: for each query, its gates
    folded into the weights that read its mask off the feature maps.
    """

    band_mean: Tensor
    band_of_bin: Tensor

    def __init__(self, config: SoloConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        edges = torch.tensor(c.edges)
        self.bands = c.bands
        if self.bands % c.patch:
            raise ValueError(f"{self.bands} bands do not divide into patches of {c.patch}")
        self.patches = self.bands // c.patch
        band_of_bin = torch.repeat_interleave(torch.arange(self.bands), edges.diff())
        self.register_buffer("band_of_bin", band_of_bin, persistent=False)
        # a full-scale sine has a mean power near 1 in its own band; counted in floors from there
        scale = 4 / c.frontend.analysis_window().sum() ** 2 / POWER_FLOOR
        band_mean = functional.one_hot(band_of_bin, self.bands) * (scale / edges.diff())
        self.register_buffer("band_mean", band_mean.float(), persistent=False)

        channels = 1 + len(c.smoothing)
        flat = self.patches * c.patch_width
        self.leaky = Leaky(c.smoothing)
        self.patch_in = nn.Linear(channels * c.patch_reach, c.patch_width)
        self.patch_place = nn.Parameter(torch.zeros(self.patches, c.patch_width))
        self.mix_in = nn.Linear(flat, c.width)
        longest = 4.0 * c.sample_rate / c.hop
        self.recurrences = nn.ModuleList(
            GatedRecurrence(c.width, c.memory, longest) for _ in range(c.blocks)
        )
        self.norm = nn.LayerNorm(c.width)
        self.mix_out = nn.Linear(c.width, flat)
        self.join_local = nn.Linear(c.patch_width, c.maps)
        self.join_context = nn.Linear(c.patch_width, c.maps, bias=False)
        self.conditioner = nn.Sequential(
            nn.Linear(c.embedding, 512), nn.GELU(), nn.Linear(512, c.maps + 1)
        )
        self.readout = nn.Parameter(torch.randn(c.maps, c.patch) / math.sqrt(c.maps))

    @property
    def state_size(self) -> int:
        """Length of the flat state of one audio channel."""
        return len(self.config.smoothing) * self.bands + self.config.blocks * self.config.memory

    def initial_state(self, batch: int) -> Tensor:
        """Returns the state of a stream that has heard nothing, ``(batch, state_size)``."""
        return torch.zeros(batch, self.state_size)

    @property
    def conditioning_size(self) -> int:
        """Length of a query's conditioning."""
        return (self.config.maps + 1) * self.config.patch

    def forward(
        self, spectrum: Tensor, conditioning: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Separates a run of frames; one hop is a run of one.

        Args:
            spectrum: ``(batch, frames, bins, 2)`` float32, real and imaginary parts.
            conditioning: ``(queries, conditioning_size)`` float32, see :meth:`condition`.
            state: ``(batch, state_size)`` float32.

        Returns:
            Stems ``(batch, queries, frames, bins, 2)`` and the next state. The masks of all
            queries and of the residual add up to one in every bin.
        """
        power = spectrum.square().sum(-1) @ self.band_mean
        maps, state = self.trunk(power, state)
        mask = self.masks(self.logits(maps, conditioning)).index_select(-1, self.band_of_bin)
        return mask[..., None] * spectrum[:, None], state

    def trunk(self, power: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Makes the feature maps, which no query touches.

        Args:
            power: ``(batch, frames, bands)`` float32, mean power of each band in floors.
            state: ``(batch, state_size)`` float32.

        Returns:
            Maps ``(batch, frames, patches, maps)`` and the next state.
        """
        c = self.config
        b, n = power.shape[0], power.shape[1]
        level = 0.25 * torch.log(power + 1.0) + (2.0 + 0.25 * math.log(POWER_FLOOR))
        split = len(c.smoothing) * self.bands
        means, means_state = self.leaky(level, state[:, :split].reshape(b, -1, self.bands))
        features = torch.cat([level[:, :, None], level[:, :, None] - means], dim=2)

        margin = (c.patch_reach - c.patch) // 2
        patches = functional.pad(features, (margin, margin)).unfold(-1, c.patch_reach, c.patch)
        patches = patches.transpose(2, 3).reshape(b, n, self.patches, -1)
        local = functional.relu(self.patch_in(patches) + self.patch_place)

        x = self.mix_in(local.flatten(2)).float()
        memories = state[:, split:].split(c.memory, dim=-1)
        new_memories = []
        for block, memory in zip(self.recurrences, memories, strict=True):
            x, memory = block(x, memory)
            new_memories.append(memory)

        context = functional.relu(self.mix_out(self.norm(x))).reshape(local.shape)
        maps = functional.relu(self.join_local(local) + self.join_context(context))
        return maps, torch.cat([means_state.flatten(1), *new_memories], dim=-1)

    def condition(self, embedding: Tensor) -> Tensor:
        """Turns query embeddings ``(..., embedding)`` into ``(..., conditioning_size)``.

        A query's gates weigh the rows of the shared read-out, which turns the maps of a patch into
        the logits of its bands; so the product is the same as gating first and reading out after,
        and is taken once per query instead of once per hop.
        """
        gates = self.conditioner(embedding)
        weights = gates[..., :-1, None] * self.readout
        bias = gates[..., -1:, None].expand(*gates.shape[:-1], 1, self.config.patch)
        return torch.cat([weights, bias], dim=-2).flatten(-2)

    def logits(self, maps: Tensor, conditioning: Tensor) -> Tensor:
        """Weighs maps ``(batch, frames, patches, maps)`` into logits of every query's bands.

        Args:
            maps: what :meth:`trunk` returns.
            conditioning: ``(queries, conditioning_size)``, or ``(batch, queries, ...)`` where
                every member of the batch has queries of its own.

        Returns:
            ``(batch, queries, frames, bands)``.
        """
        b, n = maps.shape[0], maps.shape[1]
        queries = conditioning.shape[-2]
        # all queries side by side in one matrix: one product reads the maps once
        table = conditioning.unflatten(-1, (-1, self.config.patch)).movedim(-3, -2).flatten(-2)
        weights, bias = table[..., :-1, :], table[..., -1:, :]
        read = maps.flatten(1, 2) @ weights + bias
        read = read.reshape(b, n, self.patches, queries, self.config.patch)
        logits: Tensor = read.permute(0, 3, 1, 2, 4).reshape(b, queries, n, self.bands)
        return logits

    @staticmethod
    def masks(logits: Tensor) -> Tensor:
        """Softmax over the queries and a residual whose logit is zero; one query: a sigmoid."""
        top = logits.amax(1, keepdim=True).clamp(min=0)
        weights = torch.exp(logits - top)
        return weights / (weights.sum(1, keepdim=True) + torch.exp(-top))


def check_sizes(config: SoloConfig, weights: Mapping[str, Tensor]) -> None:
    """Holds sizes to weights, before a network of these sizes is made.

    Raises:
        KeyError: a weight is missing.
        ValueError: one is of another shape than the sizes say.
    """
    c = config
    patches = c.bands // c.patch
    blocks = {f"recurrences.{n}.out.weight": (c.width, c.memory) for n in range(c.blocks)}
    shapes: dict[str, tuple[int, ...]] = {
        "patch_in.weight": (c.patch_width, (1 + len(c.smoothing)) * c.patch_reach),
        "patch_place": (patches, c.patch_width),
        "mix_in.weight": (c.width, patches * c.patch_width),
        "readout": (c.maps, c.patch),
        "conditioner.0.weight": (512, c.embedding),
    }
    for key, shape in (blocks | shapes).items():
        if tuple(weights[key].shape) != shape:
            raise ValueError(f"{key} is {tuple(weights[key].shape)}, the sizes say {shape}")
