"""CLAP's text branch (Wu et al. 2023): RoBERTa, and a projection into the joint space.

RoBERTa is that of the library transformers; its tensors bear their published names.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .checkpoint_files import State, fill, size
from .clap_tokens import PAD, no_transformers

DIMENSION = 512
"""Length of an embedding."""

POSITION_NUMBERS = "text_branch.embeddings.position_ids"
"""0, 1, 2, ...: a key of older libraries' RoBERTa."""


class ClapText(nn.Module):
    """CLAP's text branch: RoBERTa and a projection of its pooled output.

    Args:
        tokens, width, layers, hidden: sizes of RoBERTa: vocabulary, states, depth, dense layers.
        embedding: length of an embedding.
    """

    def __init__(
        self,
        tokens: int = 50_265,
        width: int = 768,
        layers: int = 12,
        hidden: int = 3072,
        embedding: int = DIMENSION,
    ) -> None:
        super().__init__()
        try:
            from transformers import RobertaConfig, RobertaModel
        except ImportError as error:
            raise no_transformers(error) from error
        config = RobertaConfig(
            vocab_size=tokens,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            intermediate_size=hidden,
            max_position_embeddings=514,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
        self.text_branch = RobertaModel(config)
        self.text_projection = projection(width, embedding)

    @classmethod
    def from_state(cls, state: State) -> ClapText:
        """Loads a branch.

        Args:
            state: ``text_branch.*`` and ``text_projection.*`` of a CLAP checkpoint, all of them.
                Stored position numbers, which RoBERTa of newer libraries does not keep, are left.

        Raises:
            ValueError: keys are missing, unknown, or of another shape.
            ImportError: transformers is not installed.
        """
        model = cls.like(state)
        fill(model, {key: tensor for key, tensor in state.items() if key != POSITION_NUMBERS})
        return model.eval()

    @classmethod
    def like(cls, state: State) -> ClapText:
        """A branch of the sizes that the tensors of a checkpoint have, not filled yet."""
        layers = 0
        while f"text_branch.encoder.layer.{layers}.output.dense.weight" in state:
            layers += 1
        tokens = "text_branch.embeddings.word_embeddings.weight"
        return cls(
            tokens=size(state, tokens, 0),
            width=size(state, tokens, 1),
            layers=layers,
            hidden=size(state, "text_branch.encoder.layer.0.intermediate.dense.weight", 0),
            embedding=size(state, "text_projection.2.weight", 0),
        )

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes texts.

        Args:
            ids: ``(texts, positions)`` int64, RoBERTa's token numbers, padded with 1.

        Returns:
            States of the last layer ``(texts, positions, width)``, padding positions included, and
            embeddings ``(texts, embedding)`` of length 1.
        """
        encoded = self.text_branch(input_ids=ids, attention_mask=(ids != PAD).long())
        embedding = self.text_projection(encoded.pooler_output)
        return encoded.last_hidden_state, functional.normalize(embedding, dim=-1)


def projection(inputs: int, outputs: int) -> nn.Sequential:
    """What leads from a branch into the joint space."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))
