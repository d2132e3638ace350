from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soloist.streaming.ring import RingBuffer

CAPACITY = 7
operations = st.lists(
    st.tuples(
        st.sampled_from(["write", "write_silence", "read", "peek", "skip", "clear"]),
        st.integers(0, CAPACITY),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(operations, st.sampled_from([1, 3, (2, 3)]))
def test_behaves_as_a_plain_list_does(
    steps: list[tuple[str, int]], channels: int | tuple[int, ...]
) -> None:
    ring = RingBuffer(CAPACITY, channels)
    shape = (channels,) if isinstance(channels, int) else channels
    truth: deque[float] = deque()
    written = 1.0
    for name, count in steps:
        if name == "clear":
            ring.clear()
            truth.clear()
        elif name.startswith("write"):
            values = np.arange(written, written + count) * (name == "write")
            block = np.broadcast_to(values.reshape(-1, *[1] * len(shape)), (count, *shape))
            if count > CAPACITY - len(truth):
                with pytest.raises(ValueError, match="do not fit"):
                    ring.write(block.astype(np.float32))
                continue
            ring.write_silence(count) if name == "write_silence" else ring.write(
                block.astype(np.float32)
            )
            truth.extend(values)
            written += count
        elif name == "skip":
            assert ring.skip(count) == min(count, len(truth))
            del_front(truth, count)
        else:
            out = np.full((count, *shape), -1, np.float32)
            got = ring.read(out) if name == "read" else ring.peek(out)
            assert got == min(count, len(truth))
            for frame, value in zip(
                out, [*list(truth)[:got], *[-1.0] * (count - got)], strict=True
            ):
                assert (frame == value).all()
            if name == "read":
                del_front(truth, got)
        assert (ring.available, ring.free) == (len(truth), CAPACITY - len(truth))


def del_front(values: deque[float], count: int) -> None:
    for _ in range(min(count, len(values))):
        values.popleft()


def test_takes_and_gives_blocks_of_any_strides() -> None:
    ring = RingBuffer(8, 2)
    block = np.arange(12, dtype=np.float32).reshape(2, 6)
    ring.write(block.T)
    out = np.zeros((2, 6), np.float32)
    assert ring.read(out.T) == 6
    assert (out == block).all()


def test_refuses_to_hold_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1 frame, found 0"):
        RingBuffer(0, 1)
