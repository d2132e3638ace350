"""What terminals send for keys, and a terminal that is as it was afterwards."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from soloist.app.live import keys as module
from soloist.app.live.keys import parse


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"q", ["q"]),
        (b"b+\t0", ["b", "+", "tab", "0"]),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        (b"\x1bOA\x1b[Z", ["up", "shift-tab"]),
        (b"\x1b", ["escape"]),
        (b"\r\n\x7f\b", ["enter", "enter", "backspace", "backspace"]),
        (b"\x1b[15~\x1b[1;5Cm", ["m"]),  # F5, Ctrl-right: nothing of ours
        ("ä±".encode(), ["ä", "±"]),
        (b"\xff\x80?", ["\ufffd\ufffd", "?"]),
        (b"", []),
    ],
)
def test_parse(typed: bytes, keys: list[str]) -> None:
    assert parse(typed) == keys


if sys.platform != "win32":
    import termios

    @pytest.fixture
    def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
        """A terminal's two ends; ours is what people type into."""
        ours, theirs = os.openpty()
        with os.fdopen(theirs, "rb", buffering=0) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
            yield ours, theirs
        os.close(ours)

    def test_keys_come_one_by_one(terminal: tuple[int, int]) -> None:
        ours, theirs = terminal
        before = termios.tcgetattr(theirs)
        keyboard = module.keyboard()
        assert keyboard is not None
        with pytest.raises(RuntimeError, match="crash"), keyboard as keys:
            assert not termios.tcgetattr(theirs)[3] & (termios.ECHO | termios.ICANON)
            assert termios.tcgetattr(theirs)[3] & termios.ISIG  # Ctrl-C goes on
            os.write(ours, b"\x1b[Am")
            assert keys.read(10.0) == ["up", "m"]
            began = time.monotonic()
            assert keys.read(0.05) == []
            assert time.monotonic() - began >= 0.05
            raise RuntimeError("crash")
        assert termios.tcgetattr(theirs) == before

    def test_no_keys_in_the_background(
        terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
        assert module.keyboard() is None


def test_no_keys_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert module.keyboard() is None
    monkeypatch.setattr(sys, "stdin", None)
    assert module.keyboard() is None
