"""Low-rank adaptation (LoRA): a layer that stays, and a change of few numbers that is learnt.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022). Own code, although the
library peft has it: CLAPSep adapts two kinds of layers of one encoder, its checkpoints name tensors
as here, and ``separators.htsat.merged`` adds the changes where a checkpoint is read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..separators.htsat import HTSAT
from ..separators.swin import WindowAttention


class Adapted(nn.Linear):
    """A dense layer with the weight ``W + (B @ A) / rank``, of which A, B and the bias learn.

    B begins with zeros, so that the layer begins as the one that it adapts.

    Args:
        layer: has a bias; its tensors are taken over.
        rank: rows of A.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(True)
        self.lora_A = nn.Parameter(torch.empty(rank, layer.in_features))
        self.lora_B = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        change = self.lora_B @ self.lora_A / len(self.lora_A)
        return functional.linear(x, self.weight + change, self.bias)


def adapt(encoder: HTSAT, rank: int) -> None:
    """Freezes an encoder but for its attention, of which changes of a rank and biases learn."""
    encoder.requires_grad_(False)
    for module in encoder.modules():
        if isinstance(module, WindowAttention):
            module.qkv = Adapted(module.qkv, rank)
            module.proj = Adapted(module.proj, rank)
