"""The loop that finds at which speed a buffer between two clocks keeps its fill."""

import math

import pytest

from soloist.streaming.live.drift import LARGEST_SPEED, DriftLoop

BLOCK_S = 128 / 48_000


def run(loop: DriftLoop, drift: float, seconds: float, error: float = 0.0) -> list[float]:
    """The errors of a buffer that fills at `drift` and is emptied at the loop's speed."""
    errors = []
    for _ in range(round(seconds / BLOCK_S)):
        error += (drift - loop.update(error, BLOCK_S)) * BLOCK_S
        errors.append(error)
    return errors


@pytest.mark.parametrize("ppm", [-400, -20, 0, 150, 400, 900])
def test_finds_what_the_clocks_disagree_by(ppm: float) -> None:
    loop = DriftLoop()
    errors = run(loop, ppm * 1e-6, 60)
    assert loop.speed == pytest.approx(ppm * 1e-6, abs=1e-9)
    assert abs(errors[-1]) < 1e-8


def test_a_step_leaves_the_error_of_a_critically_damped_loop() -> None:
    """d/(ω·e), one time constant after it; the smoothing adds a little."""
    errors = run(DriftLoop(), 400e-6, 30)
    omega = 2 * math.pi * 0.05
    assert max(errors) == pytest.approx(400e-6 / (omega * math.e), rel=0.1)
    assert min(errors) > -0.1 * max(errors)


@pytest.mark.parametrize("error", [-0.5, 0.5])
def test_bounded_in_speed_and_its_change_and_not_wound_up(error: float) -> None:
    """Half a second too much needs minutes at 1000 ppm; then the integral must not carry on."""
    loop = DriftLoop()
    speed, steps, speeds = 0.0, [], []
    for _ in range(round(700 / BLOCK_S)):
        error -= loop.update(error, BLOCK_S) * BLOCK_S
        steps.append(abs(loop.speed - speed))
        speed = loop.speed
        speeds.append(speed)
    assert max(map(abs, speeds)) <= LARGEST_SPEED
    assert max(steps) <= 500e-6 * BLOCK_S * (1 + 1e-6)
    assert abs(error) < 1e-6
    assert min(abs(low) for low in (min(speeds), max(speeds))) < 0.2 * LARGEST_SPEED


def test_one_late_callback_is_not_followed() -> None:
    loop = DriftLoop()
    run(loop, 100e-6, 60)
    loop.update(0.030, BLOCK_S)
    speeds = []
    error = 0.0
    for _ in range(1000):
        error += (100e-6 - loop.update(error, BLOCK_S)) * BLOCK_S
        speeds.append(loop.speed)
    assert max(abs(speed - 100e-6) for speed in speeds) < 20e-6


def test_what_is_known_of_the_clocks_outlives_a_new_start() -> None:
    loop = DriftLoop()
    run(loop, 250e-6, 60)
    loop.update(0.002, BLOCK_S)
    loop.recentre()
    errors = run(loop, 250e-6, 5)
    assert loop.speed == pytest.approx(250e-6, abs=1e-6)
    assert max(map(abs, errors)) < 5e-6
