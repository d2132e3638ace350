"""Mixes of embeddings: means of what is wanted, turned away from what is not."""

import numpy as np
import pytest

from soloist.separators.query_mix import Weighted, mix

A, B, C = np.eye(3, dtype=np.float32) * 4


def test_positives_are_averaged_by_weight() -> None:
    np.testing.assert_allclose(mix([(1, A)]), A)
    np.testing.assert_allclose(mix([(1, A), (1, B)]), [2, 2, 0])
    np.testing.assert_allclose(mix([(3, A), (1, B)]), [3, 1, 0])


def test_negatives_turn_and_do_not_shorten() -> None:
    mixed = mix([(1, A + B)], [(0.5, B)])
    assert np.linalg.norm(mixed) == pytest.approx(np.linalg.norm(A + B))
    np.testing.assert_allclose(mixed / mixed[0], [1, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(mix([(1, A + B)], [(1, B)]), np.sqrt(2) * A, rtol=1e-6)


@pytest.mark.parametrize(
    ("positives", "negatives", "complaint"),
    [
        ([], [(1, A)], "one positive or more"),
        ([(0, A)], [], "weights above zero"),
        ([(1, A)], [(-1, B)], "weights above zero"),
        ([(1, A)], [(1, A)], "take away all"),
        ([(1, A), (1, A[:2])], [], r"of \[2, 3\] numbers"),
    ],
)
def test_mixes_that_cannot_be(
    positives: list[Weighted], negatives: list[Weighted], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        mix(positives, negatives)
