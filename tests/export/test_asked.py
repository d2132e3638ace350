"""What a query says: words, weights, what is wanted and what is not."""

import pytest

from soloist.export.asked import Term, terms
from soloist.runtime.errors import QueryError


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("violin", [("violin", 1.0, True)]),
        ("  a well-tempered piano ", [("a well-tempered piano", 1.0, True)]),
        ("violin + 0.5*viola", [("violin", 1.0, True), ("viola", 0.5, True)]),
        (
            "2 * violin - speech + image:my photo.jpg",
            [("violin", 2.0, True), ("speech", 1.0, False), ("image:my photo.jpg", 1.0, True)],
        ),
        ("- speech + .25*file:dog.npy", [("speech", 1.0, False), ("file:dog.npy", 0.25, True)]),
        ("C+ + rust", [("C+", 1.0, True), ("rust", 1.0, True)]),
    ],
)
def test_terms(query: str, expected: list[tuple[str, float, bool]]) -> None:
    if query.startswith("-"):  # a sign before the first term needs one before it
        with pytest.raises(QueryError, match="says nothing"):
            terms(query)
        return
    assert terms(query) == [Term(*term) for term in expected]


@pytest.mark.parametrize("query", ["", "violin + ", "0*violin", "violin + + viola", "3*"])
def test_a_part_that_says_nothing_is_refused(query: str) -> None:
    with pytest.raises(QueryError, match="says nothing"):
        terms(query)
