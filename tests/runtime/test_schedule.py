"""Schedules against a search, hop by hop, for the newest block that the samples so far can fill."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.runtime.errors import BundleError
from soloist.runtime.frames import Frames
from soloist.runtime.schedule import Schedule

# As of CLIPSep, the bi-modal separator, CLAPSep and AudioSep; then crops and corners.
BLOCKS = [
    (1024, 256, 65_535),
    (1022, 256, 131_070),
    (1024, 320, 320_000),
    (2048, 320, 160_000),
    (64, 16, 500),
    (64, 8, 640),
    (30, 7, 100),
]


def schedule(block: tuple[int, int, int], **counts: int) -> Schedule:
    n_fft, hop, samples = block
    frames = Frames(n_fft, hop, "hann", "hann-istft", "reflect")
    common = {"emitted": 10, "baked": 0, "crossfade": 2, "advance": 6, "lookahead": 0, "compute": 6}
    return Schedule(frames=frames, window_samples=samples, **common | counts)


def newest_frame(plan: Schedule, hop: int) -> int:
    """The stream's frame that is the last of the newest block which hop `hop` completes."""
    step, samples = plan.frames.hop, plan.window_samples
    frame = hop + 20
    while True:
        centre = (frame + 1) * step - plan.frames.n_fft // 2
        start = centre - (plan.window_frames - 1) * step
        if start + samples <= (hop + 1) * step:
            return frame
        frame -= 1


@pytest.mark.parametrize("block", BLOCKS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_window_has_just_come_when_its_frames_are_due(
    block: tuple[int, int, int], data: st.DataObject
) -> None:
    frames = 1 + block[2] // block[1]
    baked = data.draw(st.integers(0, 3))
    emitted = data.draw(st.integers(9, frames - baked))
    crossfade = data.draw(st.integers(0, (emitted - 5) // 2))
    lookahead = baked + data.draw(st.integers(0, emitted - max(5, crossfade) - crossfade))
    counts = {"emitted": emitted, "baked": baked, "crossfade": crossfade, "lookahead": lookahead}
    longest = emitted - crossfade - (lookahead - baked)
    advance = data.draw(st.integers(max(5, crossfade), longest))
    compute = data.draw(st.integers(1, advance))
    plan = schedule(block, **counts, advance=advance, compute=compute)
    assert plan.longest_advance == longest
    assert plan.window_frames == frames
    for window in range(3):
        launch = plan.first_launch + window * advance
        newest = newest_frame(plan, launch)
        first_centre = (newest - (frames - 1) + 1) * block[1] - block[0] // 2
        assert plan.block_start(launch) == first_centre
        used = range(window * advance, (window + 1) * advance + crossfade)
        assert newest - used[-1] == lookahead
        oldest_in_block = plan.window_frames - 1 - (newest - used[0])
        assert oldest_in_block == frames - baked - emitted + plan.first_output
        # Played from when the window has been computed, and not a hop later.
        assert used[0] + plan.delay == launch + compute


@pytest.mark.parametrize("block", BLOCKS)
def test_latency_is_the_delay_and_the_frames_overlap(block: tuple[int, int, int]) -> None:
    """The hop that the frame of the newest window completes, sample by sample."""
    plan = schedule(block)
    n_fft, hop, _ = block
    now = 100  # hops; the frame of hop 100 - delay is masked and added now
    first_of_frame = (now - plan.delay + 1) * hop - n_fft
    # The next frame starts a hop later: these samples are complete, and leave as hop `now` would.
    assert (now + 1) * hop - first_of_frame == plan.latency_samples
    assert sum(samples for _, samples in plan.parts) == plan.latency_samples - hop


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ({"emitted": 0}, "found emitted_frames 0, expected 1 to 256"),
        ({"baked": 1, "emitted": 256}, "found emitted_frames 256, expected 1 to 255"),
        ({"crossfade": -1}, "crossfade_frames -1"),
        ({"crossfade": 10}, "crossfade_frames 10, expected 0 to 9"),
        ({"lookahead": 7}, "a look-ahead of 7 frames, expected 0 to 6"),
        ({"baked": 2, "lookahead": 1}, "a look-ahead of 1 frames, expected 2 to"),
        ({"advance": 9}, "an advance of 9 frames, expected 2 to 8"),
        ({"advance": 1}, "an advance of 1 frames, expected 2 to 8"),
        ({"lookahead": 3, "advance": 6}, "an advance of 6 frames, expected 2 to 5"),
        ({"compute": 0}, "budget of 0 hops, expected 1 to 6"),
        ({"compute": 7}, "budget of 7 hops, expected 1 to 6"),
    ],
)
def test_counts_that_contradict_are_refused(counts: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint):
        schedule((1024, 256, 65_535), **counts)


def test_an_advance_that_needs_a_frame_of_the_future_is_refused() -> None:
    """Four hops ahead: with an advance of 2 the newest frame used would not be in the stream."""
    block = (64, 8, 640)
    assert schedule(block, crossfade=0).ahead == 4
    with pytest.raises(BundleError, match="an advance of 4 frames, expected 5 to 10"):
        schedule(block, crossfade=0, advance=4, compute=1)
    assert schedule(block, crossfade=0, advance=5, compute=1).delay == 1
