"""Mixing before doubling is the convolution of the doubled map, whole and in part."""

import pytest
import torch
from torch import nn

from soloist.separators.columns import Span
from soloist.separators.doubling import Doubling, Spread, taps
from soloist.separators.unet import double

ROWS, WIDTH = 6, 16
SPANS = [
    Span(a, b, WIDTH) for a, b in [(0, 16), (0, 1), (15, 16), (11, 16), (1, 16), (0, 9), (6, 9)]
]


def lively_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for name, low, high in [("running_mean", -1, 1), ("running_var", 0.3, 2)]:
        nn.init.uniform_(norm.get_buffer(name), low, high)
    nn.init.uniform_(norm.weight, -1, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    return norm.eval()


@torch.no_grad()
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize(("bias", "normed"), [(True, False), (False, True), (True, True)])
def test_any_columns_are_those_of_the_plain_layers(span: Span, bias: bool, normed: bool) -> None:
    torch.manual_seed(3)
    conv, x = nn.Conv2d(5, 4, 3, padding=1, bias=bias), torch.randn(2, 5, ROWS, WIDTH // 2)
    norm = lively_norm(4) if normed else None
    plain = conv(double(x))
    expected = plain if norm is None else norm(plain)
    layer = Doubling(conv, norm, ROWS, span)
    found = layer(span.reach().coarse().of(x, Span.whole(WIDTH // 2)))
    torch.testing.assert_close(found, expected[..., span.start : span.stop], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_kernel_can_come_as_taps_at_run_time() -> None:
    """Which is how a query's read-out becomes the last convolution."""
    torch.manual_seed(4)
    conv, x = nn.Conv2d(5, 3, 3, padding=1, bias=False), torch.randn(2, 5, ROWS, WIDTH // 2)
    mixed = taps(conv.weight).flatten(0, 1) @ x.flatten(2)
    spread = Spread(ROWS, Span.whole(WIDTH))(mixed.unflatten(2, x.shape[2:]))
    torch.testing.assert_close(spread, conv(double(x)), atol=1e-5, rtol=0)
