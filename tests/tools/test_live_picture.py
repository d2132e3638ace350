"""The README's picture of the live screen is what the code of today draws."""

from __future__ import annotations

import re
import runpy
from html import unescape
from pathlib import Path

from soloist.app.live.level_bars import COLOURED
from soloist.app.live.screen import draw

ROOT = Path(__file__).parents[2]


def test_the_picture_is_current() -> None:
    """Its letters, at least: how they are set is rich's, and differs by its version."""
    maker = runpy.run_path(str(ROOT / "tools" / "make_live_picture"))
    svg = (ROOT / "docs" / "live.svg").read_text("utf-8")
    assert "http" not in svg.replace("http://www.w3.org", "").replace("https://www.textualize", "")
    shown = unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)))
    wide = maker["WIDTH"] - 4
    lines = [line.plain for line in draw(maker["scene"](), wide, maker["HEIGHT"], COLOURED)]
    letters = "".join(["soloist live", *lines])
    assert "".join(shown.split()) == "".join(letters.split())
    assert "docs/live.svg" in (ROOT / "README.md").read_text("utf-8")
