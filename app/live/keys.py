"""Single keys from the terminal, read without waiting for Enter, and the terminal as it was.

Keys are letters as typed, or "up", "down", "left", "right", "tab", "shift-tab", "enter",
"backspace", "escape".
"""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import AbstractContextManager
from typing import Protocol

_SEQUENCES = {
    **{b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left"},
    **{b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left"},
    **{b"\x1b[Z": "shift-tab", b"\x1b": "escape", b"\t": "tab"},
    **{b"\r": "enter", b"\n": "enter", b"\x7f": "backspace", b"\b": "backspace"},
}
# A sequence that the terminal sends for one key, or a letter in UTF-8.
_KEY = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[ -~]|\x1b|[\x00-\x7f]|[\xc0-\xff][\x80-\xbf]*|.", re.DOTALL
)
# The second byte of what Windows gives for a key without a letter.
_WINDOWS = {"H": "up", "P": "down", "K": "left", "M": "right", "\x0f": "shift-tab"}
# What it gives for keys whose letter is none.
_CONTROLS = {"\t": "tab", "\r": "enter", "\b": "backspace", "\x1b": "escape"}
_POLL_S = 0.02


class Keys(Protocol):
    """A keyboard, while the terminal is set for it."""

    def read(self, timeout: float) -> list[str]:
        """What was pressed, as soon as something was; nothing after `timeout` seconds."""


def keyboard() -> AbstractContextManager[Keys] | None:
    """The terminal's, to be used by `with`; None where standard input is none of ours."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None
    if sys.platform == "win32":
        return _Console()
    # A job in the background that asked for keys would be stopped.
    fd = sys.stdin.fileno()
    return _Terminal(fd) if os.tcgetpgrp(fd) == os.getpgrp() else None


def parse(typed: bytes) -> list[str]:
    """Keys from what a terminal sent; sequences of keys unknown to us are left out."""
    keys: list[str] = []
    for found in _KEY.findall(typed):
        if found in _SEQUENCES:
            keys.append(_SEQUENCES[found])
        elif not found.startswith(b"\x1b"):
            keys.append(found.decode("utf-8", "replace"))
    return keys


if sys.platform == "win32":
    import msvcrt

    class _Console:
        def __enter__(self) -> Keys:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing was changed."""

        def read(self, timeout: float) -> list[str]:
            end = time.monotonic() + timeout
            while not msvcrt.kbhit():
                left = end - time.monotonic()
                if left <= 0.0:
                    return []
                time.sleep(min(_POLL_S, left))
            keys: list[str] = []
            while msvcrt.kbhit():
                letter = msvcrt.getwch()
                if letter in "\x00\xe0":
                    keys.append(_WINDOWS.get(msvcrt.getwch(), ""))
                else:
                    keys.append(_CONTROLS.get(letter, letter))
            return [key for key in keys if key]

else:
    import select
    import termios
    import tty

    class _Terminal:
        """Signals from Ctrl-C and Ctrl-Z go on as ever, only echo and lines are off."""

        def __init__(self, fd: int) -> None:
            self._fd = fd

        def __enter__(self) -> Keys:
            self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
            return self

        def __exit__(self, *_: object) -> None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

        def read(self, timeout: float) -> list[str]:
            if not select.select([self._fd], [], [], timeout)[0]:
                return []
            try:
                typed = os.read(self._fd, 1024)
            except OSError:
                typed = b""
            if not typed:  # the terminal went away; so that nobody asks without a pause
                time.sleep(timeout)
            return parse(typed)
