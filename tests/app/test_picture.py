"""The picture shows a sound where it is: at its time, its pitch and its level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from soloist.app.picture import GAP, LEFT, LOWEST_HZ, PANEL_H, PANEL_W, TOP, Panel, draw

RATE = 48000


def brightness(path: Path, panel: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"), float)
    top = TOP + panel * (PANEL_H + GAP)
    return pixels[top : top + PANEL_H, LEFT : LEFT + PANEL_W]


def test_a_tone_is_a_line_at_its_pitch_and_time(tmp_path: Path) -> None:
    time = np.arange(4 * RATE) / RATE
    tone = (np.sin(2 * np.pi * 1000 * time) * (time >= 2)).astype(np.float32)
    soft = (tone / 100).astype(np.float32)
    draw(tmp_path / "p.png", [Panel("tone", tone), Panel("soft", soft)], RATE, "t", "s")
    above, below = (brightness(tmp_path / "p.png", panel) for panel in (0, 1))
    column = above[:, 3 * PANEL_W // 4]
    expected = PANEL_H * np.log(1000 / (RATE / 2)) / np.log(LOWEST_HZ / (RATE / 2))
    assert abs(int(column.argmax()) - expected) <= 2
    row = above[int(column.argmax())]
    assert row[: PANEL_W // 2 - 40].max() < 10
    assert row[PANEL_W // 2 + 40 :].min() > 180
    # One scale for all panels: what is 40 dB softer is visibly darker, but there.
    assert 20 < below.max() < above.max() - 60


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    silence = np.zeros(RATE // 2, np.float32)
    draw(tmp_path / "p.png", [Panel("nothing", silence)], 8000, "t", "s")
    assert (tmp_path / "p.png").stat().st_size > 1000
