"""The screen of `soloist live` on a terminal, and its keys.

It is drawn on the terminal's other screen, so that what was there before is there afterwards, and
only lines that changed are written. Audio runs in another process: nothing here can make it late.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from typing import Any, Self

from rich.console import Console, ConsoleDimensions
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from ...runtime.errors import SoloistError
from ...streaming.live.levels import Level
from ...streaming.live.report import Report
from ..console import people, say
from .asking import Asking, Prompt
from .desk import Desk
from .keys import Keys, keyboard
from .level_bars import ASCII, COLOURED, COLOURLESS, Glyphs, Meter, Shown
from .screen import Scene, clock, draw
from .view import Event, print_summary

_SILENCE = Level()
_NEWS_S = 20.0


def is_ours() -> bool:
    """Whether people look at a terminal, and this process is in its foreground."""
    if not people.is_terminal or people.is_dumb_terminal:
        return False
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:  # a terminal that controls nobody
        return True


class TerminalView:
    """A `View` with meters and keys, which turn `desk` and change what is `asking`ed for.

    Leave it by `with`.
    """

    def __init__(self, model: str, asking: Asking, desk: Desk) -> None:
        self.ended = False
        self._model, self._asking, self._desk = model, asking, desk
        self._meters = [Meter() for _ in range(2 + len(desk.strips))]
        self._shown = [Shown()] * len(self._meters)
        self._report: Report | None = None
        self._began = 0.0
        self._log: list[tuple[float, str]] = []
        self._news = 0.0, ""
        self._prompt: Prompt | None = None
        self._lost = self._help = self._stopping = False
        self._canvas = Canvas(people)
        self._keys: Keys | None = None
        self._terminal = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.close()
        if sys.platform != "win32":
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def start(self, report: Report) -> None:
        """See `View`."""
        self._began, self._report = time.monotonic(), report
        self._take_terminal()
        if sys.platform != "win32":
            signal.signal(signal.SIGTSTP, self._ask_to_stop)
        self._paint()

    def show(self, report: Report) -> None:
        """See `View`."""
        levels = report.levels
        assert levels is not None
        self._report, now = report, time.monotonic()
        signals = (levels.input, *levels.stems, levels.output)
        self._shown = [
            meter.follow(level, now) for meter, level in zip(self._meters, signals, strict=True)
        ]
        self._paint()

    def tell(self, event: Event, text: str, report: Report | None = None) -> None:
        """See `View`."""
        self._lost = event == "device-lost"
        self._news = time.monotonic(), text
        self._log.append(self._news)
        if self._lost:
            self._shown = [Shown()] * len(self._meters)
        self._paint()

    def wait(self, seconds: float) -> None:
        """See `View`."""
        if self._keys is None:
            time.sleep(seconds)
        else:
            for key in self._keys.read(seconds):
                typing = self._prompt is not None
                self._press(key)
                if typing and key == "enter":  # what was pasted behind it is no key
                    break
        if self._stopping:
            self._stop()
        if self._lost:  # nobody shows figures then
            self._paint()

    def finish(self, report: Report | None, code: int) -> None:
        """See `View`. After the end of `with`."""
        for at, text in self._log:
            say(f"at {clock(at - self._began)}: {text}")
        if report is not None:
            print_summary(report)

    def _press(self, key: str) -> None:
        if self._prompt is not None:
            self._type(self._prompt, key)
        elif key in ("q", "Q"):
            self.ended = True
        elif key in ("?", "h", "H"):
            self._help = not self._help
        elif key == "escape":
            self._help = False
        elif key in ("w", "W"):
            self._begin_words()
        else:
            self._desk.press(key)
        self._paint()

    def _begin_words(self) -> None:
        words = self._asking.words
        number = self._desk.selected % len(words)  # the rest has none: the first sound
        self._prompt = Prompt(number, words[number], self._offer)

    def _offer(self, typed: str) -> list[str]:
        heard = self._report.heard if self._report is not None else None
        return self._asking.offers(typed, heard or ())

    def _type(self, prompt: Prompt, key: str) -> None:
        if key == "escape" or (key == "enter" and not prompt.text.strip()):
            self._prompt = None
        elif key == "enter":
            self._ask(prompt, prompt.text.strip())
        else:
            prompt.press(key)

    def _ask(self, prompt: Prompt, words: str) -> None:
        try:
            self._asking.ask(prompt.number, words)
        except SoloistError as error:  # to be typed differently
            prompt.error = str(error)
            return
        self._prompt = None
        self._log.append((time.monotonic(), f"{words} in place of {prompt.sound}"))

    def _paint(self) -> None:
        if self._report is None:
            return
        now = time.monotonic()
        told, news = self._news
        recent = self._lost or now - told < _NEWS_S
        scene = Scene(
            self._model,
            self._asking.task,
            self._report,
            self._shown,
            self._desk.strips,
            self._desk.selected,
            self._desk.bypass,
            now - self._began,
            news=news if recent else "",
            lost=self._lost,
            help=self._help,
            keys=self._keys is not None,
            prompt=self._prompt,
        )
        width, height = people.size
        self._canvas.paint(draw(scene, width, height, _glyphs()))

    def _take_terminal(self) -> None:
        keys = keyboard()
        self._keys = self._terminal.enter_context(keys) if keys is not None else None
        self._terminal.enter_context(self._canvas)

    # Ctrl-Z: the terminal is given back before this process stops, and taken again when it goes on.

    def _ask_to_stop(self, *_: Any) -> None:
        self._stopping = True

    def _stop(self) -> None:
        self._stopping = False
        self._terminal.close()
        if sys.platform != "win32":
            say("soloist: audio goes on; fg brings the screen back")
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._ask_to_stop)
        self._take_terminal()
        self._paint()


class Canvas:
    """The terminal's other screen, while in a `with`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size: ConsoleDimensions | None = None
        self._rows: list[tuple[object, ...]] = []

    def __enter__(self) -> Self:
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)
        self._size = None
        return self

    def __exit__(self, *_: object) -> None:
        self._console.show_cursor(True)
        self._console.set_alt_screen(False)

    def paint(self, lines: list[Text]) -> None:
        """Show `lines`, no wider and no more than there is room for."""
        console, size = self._console, self._console.size
        rows: list[tuple[object, ...]] = [(line.plain, line.style, *line.spans) for line in lines]
        with console:  # gathers what is written, so that nothing flickers
            if size != self._size:
                console.control(Control.clear())
                self._size, self._rows = size, []
            before = self._rows + [()] * (len(rows) - len(self._rows))
            for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
                if row != before[number]:
                    self._move(number)
                    console.print(line, end="", no_wrap=True, crop=True, soft_wrap=False)
            for number in range(len(rows), len(before)):
                self._move(number)
        self._rows = rows

    def _move(self, number: int) -> None:
        # Emptied first: behind a full line the cursor still stands on its last letter.
        erase = Control((ControlType.ERASE_IN_LINE, 2))
        self._console.control(Control.move_to(0, number), erase)


def _glyphs() -> Glyphs:
    if people.options.ascii_only:
        return ASCII
    return COLOURED if people.color_system and not people.no_color else COLOURLESS
