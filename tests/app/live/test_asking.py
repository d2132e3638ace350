"""Other words while it plays: what is sent for them, and the line they are typed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soloist.app.live.asking import Asking, Prompt
from soloist.app.live.desk import Desk
from soloist.app.live.terminal import TerminalView
from soloist.app.words import asked_of
from soloist.runtime.errors import BundleError, QueryError, SoloistError
from soloist.runtime.queries import conditioning_for
from soloist.streaming.live.plan import LivePlan

Toys = Callable[..., Any]
Sent = list[NDArray[np.float32]]


@pytest.fixture
def asking(toy_bundle: Toys) -> tuple[Asking, Sent]:
    """Dog and rain, as baked into a toy."""
    bundle, sent = toy_bundle(queries=2).bundle, Sent()
    return Asking(bundle, "keep", asked_of(bundle, None, None), (), sent.append), sent


def test_others_are_sent_as_if_asked_at_first(
    asking: tuple[Asking, Sent], toy_bundle: Toys
) -> None:
    it, sent = asking
    assert (it.words, it.changed) == (["dog", "rain"], False)
    desk = Desk(it.words, LivePlan("toy"), lambda _: None)
    it.ask(1, "piano")
    assert (it.changed, it.task) == (True, "keep dog, piano")
    assert [strip.name for strip in desk.strips] == ["dog", "piano", "the rest"]
    expected = conditioning_for(toy_bundle(queries=2).bundle, ["dog", "piano"])
    np.testing.assert_array_equal(sent[0], expected)
    assert it.conditioning is sent[0]
    it.ask(1, "rain")
    assert (it.changed, it.task) == (False, "keep dog, rain")
    np.testing.assert_allclose(sent[1], toy_bundle(queries=2).conditioning, atol=1e-5)


def test_what_is_not_wanted_stays(toy_bundle: Toys) -> None:
    bundle, sent = toy_bundle().bundle, Sent()
    asked = asked_of(bundle, ["dog"], ["rain"])
    it = Asking(bundle, "remove", asked, ["rain"], sent.append)
    it.ask(0, "piano")
    assert it.task == "remove piano, not rain"
    np.testing.assert_array_equal(sent[0], conditioning_for(bundle, ["piano"], ["rain"]))
    assert it.offers("", (("rain", 0.9), ("bird", 0.3))) == ["bird"]


@pytest.mark.parametrize("words", ["a hippopotamus", "rain", "Rain!", "?"])
def test_words_that_cannot_be_asked_for(asking: tuple[Asking, Sent], words: str) -> None:
    it, sent = asking
    with pytest.raises(QueryError):
        it.ask(0, words)
    assert (it.words, it.conditioning, sent) == (["dog", "rain"], None, [])


def test_what_may_be_meant(asking: tuple[Asking, Sent]) -> None:
    """What is heard, until something is typed."""
    it, _ = asking
    heard = (("siren", 0.9), ("rain", 0.5), ("hand drum", 0.3))
    assert it.offers("", heard) == ["siren", "hand drum"]
    it.ask(1, "Siren!")
    assert it.offers("", heard) == ["rain", "hand drum"]
    assert it.offers("si", heard) == ["siren"]
    assert it.offers("", ()) == []


def test_a_line_is_typed() -> None:
    known = ["rain", "rain on a roof"]

    def offer(typed: str) -> list[str]:
        return [phrase for phrase in known if typed and phrase.startswith(typed)]

    it = Prompt(0, "dog", offer)
    for key in ("r", "ä", "backspace", "a", "up", "\x01"):
        it.press(key)
    assert (it.text, it.offers) == ("ra", known)
    it.press("tab")
    assert it.text == "rain"
    for key in " on":
        it.press(key)
    assert it.offers == known[1:]
    it.error = "no"
    it.press("\x15")
    assert (it.text, it.offers, it.error) == ("", [], "")
    for key in ("tab", "backspace", *"x" * 1000):
        it.press(key)
    assert it.text == "x" * 200


class Typist:
    """A keyboard: all that it has typed comes at once."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)

    def read(self, timeout: float) -> list[str]:
        keys, self.keys = self.keys, []
        return keys


def at_screen(asking: Asking, *keys: str) -> TerminalView:
    """What became of the screen after these keys; nothing is painted before audio runs."""
    view = TerminalView("toy", asking, Desk(asking.words, LivePlan("toy"), lambda _: None))
    view._keys = Typist(*keys)
    view.wait(0.0)
    return view


def test_keys_are_letters_while_words_are_typed(asking: tuple[Asking, Sent]) -> None:
    it, sent = asking
    view = at_screen(it, "2", "w", *"qm?", "\x15", *"bir", "tab", "enter")
    assert it.words == ["dog", "bird"] and len(sent) == 1
    assert not view.ended and view._prompt is None
    view = at_screen(it, "w", *"piano", "escape", "q")
    assert it.words == ["dog", "bird"] and view.ended


def test_what_is_pasted_behind_the_words_is_no_key(asking: tuple[Asking, Sent]) -> None:
    it, _ = asking
    assert not at_screen(it, "w", *"piano", "enter", "q").ended
    assert it.words == ["piano", "rain"]


@pytest.mark.parametrize("error", [QueryError("no word"), BundleError("no conditioner")])
def test_what_cannot_be_asked_for_is_told_and_ends_nothing(
    asking: tuple[Asking, Sent], monkeypatch: pytest.MonkeyPatch, error: SoloistError
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(asking[0], "ask", refuse)
    view = at_screen(asking[0], "w", "x", "enter")
    assert view._prompt is not None
    assert (view._prompt.text, view._prompt.error) == ("x", str(error))
    view._press("y")
    assert (view._prompt.text, view._prompt.error) == ("xy", "")
