import math
from collections.abc import Iterable
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.streaming.latency import adapter_delay
from soloist.streaming.rate_plan import RatePlan, RateRoute

LEAD = 20


def start_for(step: Fraction, position: int) -> Fraction:
    """The latest f congruent to `position` that is 0 or below 1 - LEAD, by trying them all."""
    start = position % step
    if start == 0:
        return Fraction(0)
    while start >= 1 - LEAD:
        start -= step
    return start


routes = st.builds(
    lambda down, up, hop, hops, ahead_in, ahead_out: RateRoute(
        Fraction(down, up),
        hop,
        hops * hop,
        ahead_in,
        ahead_out,
        lambda position: start_for(Fraction(up, down), position),
    ),
    down=st.integers(1, 12),
    up=st.integers(1, 12),
    hop=st.integers(1, 24),
    hops=st.integers(0, 3),
    ahead_in=st.integers(LEAD, 30),
    ahead_out=st.integers(LEAD, 30),
)


def come_back(route: RateRoute, plan: RatePlan, taken: int) -> int:
    """Host samples that have come back after so many, counted as the parts deliver them."""
    inward = max(0, math.ceil((taken - route.ahead_in) / route.step))
    finished = (inward + plan.pad) // route.hop * route.hop
    outward = max(0, math.ceil((finished - route.ahead_out - plan.start) * route.step))
    return plan.silence + outward


def spare(route: RateRoute, plan: RatePlan, ends: Iterable[int]) -> int:
    """The fewest samples that the host's queue is left with after blocks that end there."""
    return min(come_back(route, plan, end) - end for end in ends)


def period(route: RateRoute, block: int) -> range:
    """The ends of blocks until everything repeats, after all has begun."""
    whole = math.lcm(block, route.step.numerator * route.hop)
    begun = math.ceil(route.ahead_in + (route.hop + route.ahead_out + LEAD + 20) * route.step)
    first = -(-begun // block) * block
    return range(first, first + whole + block, block)


@settings(max_examples=150, deadline=None)
@given(route=routes, block=st.integers(1, 60))
def test_is_never_short_and_holds_nothing_too_much(route: RateRoute, block: int) -> None:
    plan = route.plan(block)
    assert plan.silence >= 0
    assert spare(route, plan, range(0, 40 * block, block)) >= 0
    steady = spare(route, plan, period(route, block))
    assert steady >= 0
    if plan != route.plan(None):
        assert steady == 0


@settings(max_examples=100, deadline=None)
@given(route=routes)
def test_any_size_is_the_worst_case_and_just_enough(route: RateRoute) -> None:
    plan = route.plan(None)
    assert spare(route, plan, range(300)) >= 0
    assert spare(route, plan, period(route, 1)) == 0
    assert all(route.plan(block).delay <= plan.delay for block in range(1, 40))


@settings(max_examples=150, deadline=None)
@given(route=routes, block=st.integers(1, 60))
def test_the_delay_is_that_of_its_parts(route: RateRoute, block: int) -> None:
    """Host sample 0 shows position `start` of what left the engine; see the module."""
    plan = route.plan(block)
    shown = (plan.start - plan.pad - route.delay) * route.step
    assert plan.delay == plan.silence - shown
    assert 0 <= plan.adapter <= plan.delay


@settings(max_examples=60, deadline=None)
@given(route=routes, block=st.integers(1, 40))
def test_no_other_pad_gives_less(route: RateRoute, block: int) -> None:
    """Every grid of the hops, each with the least silence that never falls short."""
    found = route.plan(block)
    ends = period(route, block)
    for pad in range(route.hop):
        start = route.start_for(route.delay + pad)
        bare = RatePlan(pad, start, 0, 0, 0)
        silence = -spare(route, bare, ends)
        delay = silence + (route.delay + pad - start) * route.step
        assert silence < 0 or found.delay <= delay


@settings(max_examples=60, deadline=None)
@given(hop=st.integers(1, 300), block=st.integers(1, 500))
def test_at_one_rate_it_is_the_block_adapter(hop: int, block: int) -> None:
    route = RateRoute(Fraction(1), hop, hop, 0, 0, lambda _: Fraction(0))
    for size in (block, None):
        plan = route.plan(size)
        assert plan.delay == hop + adapter_delay(hop, size)
        assert plan.adapter == adapter_delay(hop, size)
