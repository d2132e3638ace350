"""The tape: all that was put comes out in order, with silence's length where frames were lost."""

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from soloist.streaming.live.tape import Tape

Audio = NDArray[np.float32]


def numbered(start: int, count: int, stems: int) -> tuple[Audio, Audio]:
    """Frames whose samples say when they were and on which track."""
    at = np.arange(start, start + count, dtype=np.float32)[:, None]
    return at, np.stack([at + 0.25 * (stem + 1) for stem in range(stems)])


def drain(tape: Tape, found: list[Audio], pieces: int = 99) -> None:
    for _ in range(pieces):
        piece = tape.peek()
        if not piece.shape[1]:
            return
        found.append(np.full((len(piece), tape.take_gap(), 1), np.nan, np.float32))
        found.append(piece.copy())
        tape.drop(piece.shape[1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=60))
def test_what_was_put_comes_out(steps: list[tuple[int, int]]) -> None:
    """Blocks of any size; after each, the reader takes so many pieces."""
    tape, found, put = Tape(2, 32, 1), [np.zeros((3, 0, 1), np.float32)], 0
    for frames, pieces in steps:
        tape.put(*numbered(put, frames, 2))
        put += frames
        drain(tape, found, pieces)
    drain(tape, found)
    out = np.concatenate(found, axis=1)
    missing = np.isnan(out[0, :, 0])
    expected = np.arange(out.shape[1], dtype=np.float32)
    for track in range(3):
        assert (out[track, ~missing, 0] == expected[~missing] + 0.25 * track).all()
    # What was lost at the very end is counted and in no gap.
    assert missing.sum() + put - out.shape[1] == tape.lost


def test_nothing_is_lost_while_there_is_room() -> None:
    tape, found = Tape(1, 100, 1), [np.zeros((2, 0, 1), np.float32)]
    for start in range(0, 1000, 50):
        tape.put(*numbered(start, 50, 1))
        drain(tape, found)
    assert tape.lost == 0
    assert (np.concatenate(found, axis=1)[0, :, 0] == np.arange(1000)).all()


def test_between_two_threads() -> None:
    """One puts as fast as it can, so that frames are lost again and again; the other reads."""
    tape, found, total = Tape(1, 256, 1), [np.zeros((2, 0, 1), np.float32)], 200_000

    def write() -> None:
        for start in range(0, total, 40):
            tape.put(*numbered(start, 40, 1))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        drain(tape, found, 1)
    writer.join()
    drain(tape, found)
    out = np.concatenate(found, axis=1)[..., 0]
    there = ~np.isnan(out[0])
    assert (out[0, there] == np.flatnonzero(there)).all()
    assert (out[1, there] == out[0, there] + 0.25).all()
    assert (~there).sum() + total - out.shape[1] == tape.lost
