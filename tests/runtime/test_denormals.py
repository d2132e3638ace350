"""Denormals are zero within the context, on its thread, and nowhere else."""

import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from soloist.runtime.denormals import FlushDenormals

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"),
    reason="flushing is known for x86-64 and 64-bit Arm only",
)


def makes_denormals() -> bool:
    smallest_normal = np.full(8, np.finfo(np.float32).tiny)
    return bool((smallest_normal * np.float32(0.5) != 0).all())


def test_flushes_within_and_only_there() -> None:
    assert makes_denormals()
    with FlushDenormals():
        assert not makes_denormals()
    assert makes_denormals()


def test_nests_and_survives_an_exception() -> None:
    with FlushDenormals():
        with pytest.raises(ZeroDivisionError), FlushDenormals():
            raise ZeroDivisionError
        assert not makes_denormals()
    assert makes_denormals()


def test_one_object_nests_in_itself() -> None:
    flush = FlushDenormals()
    for _ in range(2):
        with flush:
            with flush:
                assert not makes_denormals()
            assert not makes_denormals()
        assert makes_denormals()


def test_other_threads_keep_their_mode() -> None:
    entered, seen = threading.Event(), []

    def look() -> None:
        entered.wait()
        seen.append(makes_denormals())

    other = threading.Thread(target=look)
    other.start()
    with FlushDenormals():
        entered.set()
        other.join()
    assert seen == [True]


def test_a_first_session_leaves_the_thread_as_it_was(toy_bundle: Callable[..., Any]) -> None:
    """onnxruntime flushes for good on the thread of a process's first session; we undo that."""
    code = (
        "from soloist.runtime.bundle import Bundle; from soloist.runtime.session import Session;"
        f"Session(Bundle.open({str(toy_bundle().path)!r})); print(5e-324 > 0.0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_step_computes_no_denormals(toy_bundle: Callable[..., Any]) -> None:
    from soloist.runtime.session import Session

    session = Session(toy_bundle().bundle, device="cpu")
    session.spectrum[:] = np.finfo(np.float32).tiny  # times a mask of one half: denormal
    session.step()
    assert not session.stems.any()
    assert makes_denormals()
