"""How `soloist live` leaves when something goes wrong, on a stream without devices."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from soloist.app import live as module
from soloist.runtime.errors import DeviceError, DeviceLost

Run = Callable[..., Any]


class Left(BaseException):
    """Instead of the process's end."""


@pytest.fixture
def broken_stream(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException, bool], list[str]]:
    """`broken_stream(error, closes)`: the stream raises when started. What happens is listed."""
    happened: list[str] = []

    def leave(code: int) -> None:
        happened.append(f"left with {code}")
        raise Left

    def install(error: BaseException, closes: bool) -> list[str]:
        class Stream:
            def __init__(self, *_: object, **__: object) -> None:
                pass

            def start(self) -> None:
                raise error

            def stop(self) -> bool:
                happened.append("stopped")
                return closes

        monkeypatch.setattr(module, "LiveStream", Stream)
        monkeypatch.setattr(os, "_exit", leave)
        return happened

    return install


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DeviceError("the desk is busy"), 2, "soloist: the desk is busy\n"),
        (DeviceLost("the cable came out"), 3, "soloist: the cable came out\n"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("cheese"), 1, "soloist: a fault of ours, RuntimeError: cheese;"),
    ],
)
def test_devices_that_close(
    soloist: Run, toy: str, broken_stream: Run, error: BaseException, code: int, said: str
) -> None:
    happened = broken_stream(error, True)
    result = soloist("live", "-m", toy)
    assert result.code == code
    assert result.err.startswith(said) and result.err.count("\n") == bool(said)
    assert happened == ["stopped"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DeviceError("the desk is busy"), 2, "soloist: the desk is busy\n"),
        (DeviceLost("the cable came out"), 3, "soloist: the cable came out\n"),
        (KeyboardInterrupt(), 130, "soloist: the audio devices do not close\n"),
        (RuntimeError("cheese"), 1, "soloist: a fault of ours, RuntimeError: cheese\n"),
    ],
)
def test_devices_that_hang(
    toy: str,
    broken_stream: Run,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    """Said first, then the process ends without Python's exit, which would hang again."""
    happened = broken_stream(error, False)
    with pytest.raises(Left):
        module.live(model=toy)
    assert happened == ["stopped", f"left with {code}"]
    assert capsys.readouterr().err == said
