"""A few columns of a map are what they are in the whole map."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from soloist.separators.columns import Span, convolve, upsample

WIDTH = 12
SPANS = [
    Span(a, b, WIDTH) for a, b in [(0, 12), (0, 1), (11, 12), (3, 7), (1, 12), (0, 11), (5, 6)]
]


def some_map(width: int) -> torch.Tensor:
    return torch.randn(2, 3, 4, width, generator=torch.Generator().manual_seed(width))


@pytest.mark.parametrize("span", SPANS)
def test_a_convolution_sees_what_lies_beside_the_columns(span: Span) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    x, whole = some_map(WIDTH), Span.whole(WIDTH)
    expected = conv(x)[..., span.start : span.stop]
    found = convolve(conv, span.reach().of(x, whole), span)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("span", SPANS)
def test_interpolation_reads_its_place_in_the_whole_map(span: Span) -> None:
    x = some_map(WIDTH // 2)
    doubled = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    found = upsample(span.coarse().of(x, Span.whole(WIDTH // 2)), span)
    torch.testing.assert_close(found, doubled[..., span.start : span.stop], atol=1e-6, rtol=0)


@pytest.mark.parametrize("span", SPANS)
def test_no_column_is_read_in_vain(span: Span) -> None:
    coarse = span.coarse()
    for column in (coarse.start, coarse.stop - 1):
        x = torch.zeros(1, 1, 1, coarse.stop - coarse.start)
        x[..., column - coarse.start] = 1
        assert upsample(x, span).abs().max() > 0


def test_columns_are_cut_relative_to_those_at_hand() -> None:
    x = torch.arange(4, 9)
    assert Span(5, 7, 10).of(x, Span(4, 9, 10)).tolist() == [5, 6]


def test_only_the_whole_map_is_whole() -> None:
    assert Span.whole(7).is_whole
    assert not Span(0, 6, 7).is_whole
