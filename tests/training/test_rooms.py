"""Random rooms: the direct sound first and whole, then a decay as long as promised."""

import numpy as np
import pytest

from soloist.training.rooms import in_a_room, room_response

RATE = 16_000


@pytest.mark.parametrize("seed", range(8))
def test_a_response_is_the_sound_itself_and_then_decays(seed: int) -> None:
    response = room_response(RATE, np.random.default_rng(seed))
    assert response[0] == 1.0
    assert not response[1 : int(0.002 * RATE)].any()
    tail = response[1:].astype(float)
    ratio = -10 * np.log10(np.square(tail).sum())
    assert -0.01 <= ratio <= 15.01  # direct sound over the rest, dB
    # Schroeder's integral (1965): the energy that is still to come falls by 60 dB within the time
    remaining = 10 * np.log10(np.cumsum(np.square(tail)[::-1])[::-1] / np.square(tail).sum() + 1e-9)
    half = int(np.argmax(remaining < -30))
    assert 0.02 * RATE < half < 0.62 * len(response)


def test_a_click_in_a_room_is_the_room() -> None:
    click = np.zeros(RATE, np.float32)
    click[100] = 0.5
    heard = in_a_room(click, RATE, np.random.default_rng(3))
    response = room_response(RATE, np.random.default_rng(3))
    assert len(heard) == len(click)
    np.testing.assert_allclose(heard[100 : 100 + len(response)], 0.5 * response, atol=1e-5)
    assert np.abs(heard[:100]).max() < 1e-6
