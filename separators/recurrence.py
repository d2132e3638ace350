"""Gated linear recurrence: a memory whose training is dense products and one cheap scan."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class GatedRecurrence(nn.Module):
    """Residual block around ``h[t] = a[t] h[t-1] + (1 - a[t]) u[t]`` with input-dependent ``a``.

    The gate sees only the input, never the memory, so every matrix product runs over all frames
    at once (minGRU of Feng et al. 2024, output gate as in Griffin of De et al. 2024); what is left
    for the time axis is one multiply-add a frame. One hop costs four matrix-vector products.

    Args:
        width: size of the residual stream.
        memory: number of memory cells.
        longest: time constant, in frames, of the slowest cell at initialisation; the fastest
            starts at 2 and the others are spread evenly on a log scale.
    """

    def __init__(self, width: int, memory: int, longest: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * memory)
        self.out = nn.Linear(memory, width)
        constants = torch.exp(torch.linspace(math.log(2.0), math.log(longest), memory))
        self.forget_bias = nn.Parameter(torch.log(constants - 1))
        nn.init.zeros_(self.out.bias)
        nn.init.normal_(self.out.weight, std=0.5 / math.sqrt(memory))

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Advances over ``x`` ``(batch, frames, width)`` from ``state`` ``(batch, memory)``."""
        value, forget, gate = self.project(self.norm(x)).chunk(3, dim=-1)
        # float32 here: a slow cell's gate differs from 1 by less than bfloat16 can tell
        keep = torch.sigmoid(forget.float() + self.forget_bias)
        memory = scan(keep, (1 - keep) * value.float(), state)
        return x + self.out(memory.to(gate) * nn.functional.silu(gate)), memory[:, -1]


class Leaky(nn.Module):
    """Running means of a signal over several fixed time constants.

    Args:
        constants: time constants in frames.
    """

    keep: Tensor

    def __init__(self, constants: tuple[float, ...]) -> None:
        super().__init__()
        keep = torch.tensor([math.exp(-1 / c) for c in constants])
        self.register_buffer("keep", keep[:, None], persistent=False)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Means of ``x`` ``(batch, frames, size)`` from ``state`` ``(batch, constants, size)``."""
        keep = self.keep.expand(x.shape[0], x.shape[1], -1, x.shape[-1])
        means = scan(keep, (1 - keep) * x[:, :, None], state)
        return means, means[:, -1]


def scan(keep: Tensor, new: Tensor, state: Tensor) -> Tensor:
    """Solves ``h[t] = keep[t] h[t-1] + new[t]`` with ``h[-1] = state``.

    Args:
        keep: ``(batch, frames, ...)`` float32.
        new: ``(batch, frames, ...)`` float32.
        state: ``(batch, ...)`` float32.

    Returns:
        All ``h``, ``(batch, frames, ...)`` float32.
    """
    if keep.shape[1] == 1:  # one hop: plain operators, which is what an exported graph should hold
        return keep * state[:, None] + new
    hidden: Tensor = _Scan.apply(keep, new, state)  # type: ignore[no-untyped-call]
    return hidden


class _Scan(torch.autograd.Function):
    """One fused multiply-add a frame, forwards and backwards, with no graph in between."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, state: Tensor) -> Tensor:
        hidden = torch.empty_like(new)
        previous = state
        for a, b, out in zip(keep.unbind(1), new.unbind(1), hidden.unbind(1), strict=True):
            previous = torch.addcmul(b, a, previous, out=out)
        ctx.save_for_backward(keep, hidden, state)
        return hidden

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, hidden, state = ctx.saved_tensors
        grad = grads[0].clone()
        steps, gates = grad.unbind(1), keep.unbind(1)
        for t in range(len(steps) - 2, -1, -1):
            steps[t].addcmul_(gates[t + 1], steps[t + 1])
        grad_keep = torch.cat([state[:, None], hidden[:, :-1]], dim=1) * grad
        return grad_keep, grad, gates[0] * steps[0]
