"""Muon in the precision of the weights: torch's own, but for its orthogonalisation.

Torch orthogonalises in bfloat16, which most processors have no products for: there the same
products take about three times as long as in float32 (docs/solo-log.md, section 7).
"""

from __future__ import annotations

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """As :class:`torch.optim.Muon` with Nesterov's momentum and AdamW's size of a step.

    Args:
        params: matrices.
        rate: the rate that AdamW would be given.
        weight_decay: share of ``rate`` by which the weights shrink at a step.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the
    size of a step: Liu et al., "Muon is scalable for LLM training" (arXiv:2502.16982), section 2.2.
    """

    def __init__(self, params: list[torch.nn.Parameter], rate: float, weight_decay: float) -> None:
        super().__init__(params, lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Takes one step."""
        for group in self.param_groups:
            rate, keep = float(group["lr"]), group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                momentum = state["momentum_buffer"].lerp_(weight.grad, 1 - keep)
                update = orthogonal(weight.grad.lerp(momentum, keep), group["ns_coefficients"])
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(update, alpha=-0.2 * rate * max(weight.shape) ** 0.5)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int = 5) -> Tensor:
    """The matrix with singular values of about 1 (0.7 to 1.2), by Newton and Schulz's iteration.

    Args:
        matrix: ``(rows, columns)``.
        coefficients: of the first, third and fifth power.
        steps: of the iteration.
    """
    first, third, fifth = coefficients
    tall = len(matrix) > matrix.shape[1]
    wide = matrix.T if tall else matrix
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(
            wide, torch.addmm(gram, gram, gram, beta=third, alpha=fifth), wide, beta=first
        )
    return wide.T if tall else wide
