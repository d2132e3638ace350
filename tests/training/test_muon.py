"""Muon in the precision of the weights, against torch's own and the singular values."""

import pytest
import torch

from soloist.training.muon import Muon, orthogonal

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (20, 20)])
def test_an_orthogonalised_matrix_keeps_its_directions(shape: tuple[int, int]) -> None:
    # each singular value goes through the same polynomial; the vectors stay
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    torch.testing.assert_close(orthogonal(matrix, COEFFICIENTS), left * values @ right)


def test_it_takes_torch_s_steps_within_bfloat16_s_precision() -> None:
    draw = torch.Generator().manual_seed(2)
    begun = [0.3 * torch.randn(shape, generator=draw) for shape in ((30, 70), (70, 30), (25, 25))]
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in begun] for _ in range(2))
    takers = [
        Muon(ours, rate=0.05, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(4):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=draw)
            other.grad = own.grad.clone()
        for taker in takers:
            taker.step()
    for own, other, start in zip(ours, theirs, begun, strict=True):
        way = (other - start).norm()
        assert (own - other).norm() < 0.03 * way
